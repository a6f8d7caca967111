"""What a fit shows on stderr while it runs."""

import sys

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Of what the solvers tell; none of them tells all.
_TEXTS = {
    "weight": "weight {:.4g}",
    "train_error": "train {:.3g}",
    "held_out_error": "held-out {:.4g}",
    "nuclear_norm": "nuclear norm {:.4g}",
    "effective_rank": "effective rank {:.1f}",
    "rank": "rank {:.0f}",
    "gap": "gap {:.1e}",
}


class FitProgress:
    """A line when a fit begins, and in a terminal below it one that moves.

    The train error is a mean square, the held-out error a root mean square, both of values less
    their biases; a flow has these divided by their root mean square.
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
        self._task = self._progress.add_task("starting", total=None)

    def __call__(self, seen: dict) -> None:
        """Take in what a solver tells."""
        if not self._terminal:
            return
        if seen["step"] < self._seen.get("step", 0):  # the fit of all entries begins anew
            self._seen = {}
        self._seen |= seen
        self._progress.update(self._task, description=_told(self._seen))


def _told(seen: dict) -> str:
    if seen["step"] == 0:
        return "compiling"
    parts = [text.format(float(seen[name])) for name, text in _TEXTS.items() if name in seen]
    return ", ".join([f"step {seen['step']}", *parts])
