"""What ``factorflow reproduce`` shows on stderr while it runs."""

import sys
import threading
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from factorflow.experiments import seconds_text

_BETWEEN_LINES = 20.0  # seconds
_BETWEEN_LOOKS = 1.0  # seconds


class RunsProgress:
    """A line that moves in a terminal, else a line now and then.

    It tells the finished runs of those wanted, for which claims something runs now, the time that
    has passed and, from the runs that ended so far, about how much is left. The lines come also
    while a long run tells nothing.

    Attributes
    ----------
    n_found, n_wanted
        Number of runs that were there before, and of those wanted.
    """

    def __init__(self):
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=10),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._terminal,
        )
        self._names: list[str] = []
        self.n_found: int | None = None
        self.n_done = self.n_wanted = 0
        self._last = -_BETWEEN_LINES
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "RunsProgress":
        self._began = perf_counter()
        self._progress.start()
        self._task = self._progress.add_task("reading what is there", total=None)
        if not self._terminal:
            self._ticking.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        if not self._terminal:
            self._ticking.join()
        self._progress.stop()

    def _tick(self) -> None:
        while not self._ended.wait(_BETWEEN_LOOKS):
            self._say_now_and_then()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._terminal:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def __call__(self, seen: dict) -> None:
        """Take in what :func:`factorflow.experiments.reproduce` tells."""
        self.n_done, self.n_wanted = seen["n_done"], seen["n_wanted"]
        if self.n_found is None:
            self.n_found = self.n_done
        self._names = seen.get("claims", self._names)
        if self._terminal:
            self._progress.update(
                self._task,
                description=f"{self._done()}{self._left()}{_detail(seen)}",
                completed=self.n_done,
                total=self.n_wanted,
            )
        else:
            self._say_now_and_then()

    def _say_now_and_then(self) -> None:
        with self._lock:
            now = perf_counter()
            # Nothing runs as long as no claim is named.
            if not self._names or now - self._last < _BETWEEN_LINES:
                return
            self._last = now
            passed = now - self._began
            so_far = f", {seconds_text(passed)} so far" if passed >= 1 else ""
            self.say(f"{self._done()}{so_far}{self._left()}")

    def _done(self) -> str:
        return ", ".join([f"{self.n_done} of {self.n_wanted} runs done", *_told(self._names)])

    def _left(self) -> str:
        """About how long the rest takes, if runs take as long as those that ended so far."""
        ended = self.n_done - (self.n_found or 0)
        if not ended or self.n_done == self.n_wanted:
            return ""
        passed = perf_counter() - self._began
        return f", about {seconds_text(passed / ended * (self.n_wanted - self.n_done))} left"


def _told(names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return [", ".join(names[:2]) + more]


def _detail(seen: dict) -> str:
    parts = []
    if seen.get("n_running", 0) > 1:
        parts.append(f"{seen['n_running']} running")
    if seen.get("step", 0) > 0:
        parts.append(f"step {seen['step']}")
    return "".join(f", {part}" for part in parts)
