"""What a fit shows on stderr while it runs."""

import sys

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class FitProgress:
    """A line when a fit begins, and in a terminal below it one that moves.

    The errors are those of the flow, on values less their biases and of mean square 1.
    """

    def __init__(self):
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._terminal,
        )
        self._seen: dict = {}

    def __enter__(self) -> "FitProgress":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def begin(self, text: str) -> None:
        """Name the fit that begins."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        if self._terminal:
            self._progress.console.print(f"{text} ...", markup=False, highlight=False)
        else:
            print(f"{text} ...", file=sys.stderr, flush=True)
        self._seen = {}
        self._task = self._progress.add_task("compiling", total=None)

    def __call__(self, seen: dict) -> None:
        """Take in what :func:`solve` tells."""
        if not self._terminal:
            return
        if seen["step"] < self._seen.get("step", 0):  # the fit of all entries begins anew
            self._seen = {}
        self._seen |= seen
        self._progress.update(self._task, description=_told(self._seen))


def _told(seen: dict) -> str:
    if seen["step"] == 0:
        return "compiling"
    parts = [f"step {seen['step']}", f"train {seen['train_error']:.3g}"]
    if "held_out_error" in seen:
        parts.append(f"held-out {float(seen['held_out_error']):.4g}")
    if "effective_rank" in seen:
        parts.append(f"effective rank {float(seen['effective_rank']):.1f}")
    return ", ".join(parts)
