"""The second part of the demonstration: a photograph from a part of its pixels."""

from pathlib import Path

from factorflow.cli._completion_run import Outcome, run
from factorflow.cli._input import Image, Input
from factorflow.cli._interrupts import Interrupts
from factorflow.cli._method import Options
from factorflow.cli._progress import FitProgress
from factorflow.cli._read_image import hidden_pixels
from factorflow.datasets import photograph
from factorflow.problems import Completion

HIDDEN = 0.7
_LONGEST = 256  # pixels


def restore_photograph(seed: int, interrupts: Interrupts, progress: FitProgress) -> Outcome:
    """What ``factorflow complete china.png --hide 0.7`` does, for a gray photograph."""
    picture = photograph("china", max_side=_LONGEST)
    seen = ~hidden_pixels(picture.shape, HIDDEN, seed)
    problem = Completion.from_array(picture, observed=seen)
    layout = Image(*picture.shape, channels=1, levels=255)
    source = Input(Path("china.png"), problem, layout, truth=picture)
    method = Options(seed=seed).on(source.kind)
    outcome = run(source, method, None, False, interrupts, progress)
    interrupts.end_if_asked()
    return outcome
