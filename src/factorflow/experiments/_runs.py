"""The runs that several claims want: each done once, kept as it ends, and failing alone."""

import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from factorflow._errors import FlowError, InputError
from factorflow.experiments._case import AbstractCase
from factorflow.experiments._store import Run, Store

Progress = Callable[[dict], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C among the runs of :func:`reproduce`; those that had ended are in the store.

    Attributes
    ----------
    n_done, n_wanted
        Number of runs that have a result, and of those wanted.
    """

    def __init__(self, n_done: int, n_wanted: int):
        super().__init__(f"{n_done} of {n_wanted} runs are done.")
        self.n_done, self.n_wanted = n_done, n_wanted


class RunError(RuntimeError):
    """A run that ended without a result."""


class Runs:
    """Runs by the keys of their cases.

    Attributes
    ----------
    done
        The finished runs.
    failed
        For each case that has no result what was raised.
    """

    def __init__(self, store: Store | None, progress: Progress | None):
        self.done: dict[str, Run] = {}
        self.failed: dict[str, Exception] = {}
        self._store, self._progress = store, progress
        self._wanted: dict[str, AbstractCase] = {}
        self._claims: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._broken: Exception | None = None
        self._since = 0.0
        self._interrupted = threading.Event()

    def want(self, cases: Sequence[AbstractCase], claim: str) -> None:
        """Enter the cases of a claim, by its id."""
        for case in cases:
            self._wanted.setdefault(case.key, case)
            self._claims.setdefault(case.key, []).append(claim)

    def do(self) -> None:
        """Do what is wanted and not in the store, group by group.

        Raises
        ------
        Interrupted
            At Ctrl-C.
        InputError, OSError
            If a result cannot be kept.
        """
        try:
            self.restore()
            self._tell({})
            for group in self._groups():
                self._do_group(group)
        except KeyboardInterrupt as error:
            raise Interrupted(len(self.done), len(self._wanted)) from error

    @property
    def complete(self) -> bool:
        """Whether all that are wanted are done."""
        return len(self.done) == len(self._wanted)

    def restore(self, *, warn: bool = True) -> None:
        """Take what the store holds; with ``warn``, files that are of no use are named."""
        for key, case in self._wanted.items():
            kept = None if self._store is None else self._store.load(case, warn=warn)
            if kept is not None:
                self.done[key] = kept

    def _groups(self) -> list[list[AbstractCase]]:
        groups: dict[Hashable, list[AbstractCase]] = {}
        for key, case in self._wanted.items():
            if key not in self.done:
                groups.setdefault((type(case), case.group), []).append(case)
        return list(groups.values())

    def _do_group(self, cases: list[AbstractCase]) -> None:
        """Run a group; if that fails, each of the rest by itself, so that one fails alone."""
        error = self._run(cases)
        rest = [case for case in cases if case.key not in self.done]
        if error is not None and len(cases) > 1:
            for case in rest:
                self._do_group([case])
        else:
            reason = error or RunError("it ended without a result")
            self.failed |= {case.key: reason for case in rest}

    def _run(self, cases: list[AbstractCase]) -> Exception | None:
        """Run the cases; what was raised, if anything was."""
        names = list(dict.fromkeys(name for case in cases for name in self._claims[case.key]))
        self._since = perf_counter()
        self._tell({"claims": names})
        error = None
        with _watched_for_interrupts(self._interrupted):
            try:
                type(cases[0]).run_many(
                    cases, self._finish, lambda seen: self._tell({**seen, "claims": names})
                )
            except Exception as caught:
                error = caught
        if self._broken is not None:
            raise self._broken
        # A solver takes Ctrl-C for the end of its run, compiled code turns it into another error.
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        return error

    def _finish(
        self, case: AbstractCase, result: Mapping[str, Any], seconds: float | None = None
    ) -> None:
        with self._lock:
            # After Ctrl-C a result may be that of half a run.
            if self._interrupted.is_set():
                return
            now = perf_counter()
            run = Run.of(result, now - self._since if seconds is None else seconds)
            self._since = now
            self._keep(case, run)
            self.done[case.key] = run
            self._tell({})

    def _keep(self, case: AbstractCase, run: Run) -> None:
        if self._store is None:
            return
        try:
            self._store.save(case, run)
        except (OSError, InputError) as error:  # such as a full disk: no failure of the run
            self._broken = error
            raise

    def _tell(self, seen: Mapping[str, Any]) -> None:
        if self._progress is not None:
            with self._lock:
                counts = {"n_done": len(self.done), "n_wanted": len(self._wanted)}
                self._progress({**seen, **counts})


def told(error: Exception) -> str:
    """An error in one line."""
    known = isinstance(error, InputError | FlowError | RunError)
    return " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())


@contextmanager
def _watched_for_interrupts(asked: threading.Event) -> Iterator[None]:
    """Block in which Ctrl-C sets an event beside what it does otherwise."""
    before = signal.getsignal(signal.SIGINT)
    # Only the main thread of a process may handle signals.
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def note(number, frame):
        asked.set()
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
