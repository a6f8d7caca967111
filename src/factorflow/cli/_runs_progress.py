"""What ``factorflow reproduce`` shows on stderr while it runs."""

import sys
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from factorflow.experiments import seconds_text

_BETWEEN_LINES = 20.0  # seconds


class RunsProgress:
    """A line that moves in a terminal, else a line now and then.

    It tells the finished runs of those wanted, for which claims something runs now, the time that
    has passed and, from the runs that ended so far, about how much is left.
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
        self._found: int | None = None  # runs that were there before
        self._last = -_BETWEEN_LINES

    def __enter__(self) -> "RunsProgress":
        self._began = perf_counter()
        self._progress.start()
        self._task = self._progress.add_task("reading what is there", total=None)
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._terminal:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def __call__(self, seen: dict) -> None:
        """Take in what :func:`factorflow.experiments.reproduce` tells."""
        done, wanted = seen["n_done"], seen["n_wanted"]
        if self._found is None:
            self._found = done
        self._names = seen.get("claims", self._names)
        line = f"{done} of {wanted} runs done, {_told(self._names)}{self._left(done, wanted)}"
        if self._terminal:
            self._progress.update(
                self._task, description=line + _detail(seen), completed=done, total=wanted
            )
        elif perf_counter() - self._last >= _BETWEEN_LINES:
            self._last = perf_counter()
            self.say(line)

    def _left(self, done: int, wanted: int) -> str:
        """About how long the rest takes, if runs take as long as those that ended so far."""
        ended = done - (self._found or 0)
        if not ended or done == wanted:
            return ""
        passed = perf_counter() - self._began
        return f", about {seconds_text(passed / ended * (wanted - done))} left"


def _told(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _detail(seen: dict) -> str:
    parts = []
    if seen.get("n_running", 0) > 1:
        parts.append(f"{seen['n_running']} running")
    if seen.get("step", 0) > 0:
        parts.append(f"step {seen['step']}")
    return "".join(f", {part}" for part in parts)
