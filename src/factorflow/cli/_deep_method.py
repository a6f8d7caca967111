"""``--method deep``: gradient flow on a deep linear network."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from factorflow.cli._abstract_method import (
    NOTHING_LEFT,
    VALIDATION_FRACTION,
    AbstractMethod,
    Biases,
    Description,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from factorflow.estimators import DeepMatrixCompletion, TensorCompletion

Stop = Literal["validation", "interpolate"]
Widths = Literal["auto"] | tuple[int, ...]

_BY_VALIDATION = (
    "The fit reached the train error at which the error on its validation entries is least."
)


@dataclass(frozen=True)
class DeepMethod(AbstractMethod):
    """The settings are those of the estimator."""

    name = "deep"
    work = "flow"

    depth: int
    scale: float
    widths: Widths
    biases: Biases
    stop: Stop
    seed: int

    @property
    def words(self) -> str:
        return f"gradient flow, depth {self.depth}, scale {self.scale:g}, stop by {self.stop}"

    def estimator(self, progress: Callable[[dict], None] | None) -> "DeepMatrixCompletion":
        # Imported on use, as in all methods: help and refusals come at once.
        from factorflow.estimators import DeepMatrixCompletion

        settings: dict[str, Any] = asdict(self)
        seed = settings.pop("seed")
        return DeepMatrixCompletion(
            **settings,
            validation_fraction=VALIDATION_FRACTION,
            random_state=seed,
            progress=progress,
        )

    def describe(self, model: "DeepMatrixCompletion") -> Description:
        solution = model.solution_
        route = None if solution is None else solution.route
        return Description(
            ending=flow_ending(model),
            validation_error=model.validation_error_,
            effective_rank=model.effective_rank_,
            settings={
                "depth": self.depth,
                "scale": self.scale,
                "widths": model.widths_,
                "capped": model.capped_,
                "biases": self.biases,
                "stop": self.stop,
            },
            numbers={"n_gradients": model.n_gradients_, "route": route},
            facts=(
                ("widths", _widths(model)),
                ("gradients", f"{model.n_gradients_:,}"),
                ("route", route or "none"),
            ),
        )

    def figures(self, model: "DeepMatrixCompletion") -> list[tuple[str, "Figure"]]:
        from factorflow.report import completion_figures

        return completion_figures(model.path_)


def flow_ending(model: "DeepMatrixCompletion | TensorCompletion") -> tuple[str, str]:
    """How a fit by gradient flow ended: a name and a sentence."""
    from factorflow.trajectories import Status

    if model.solution_ is None:
        return NOTHING_LEFT
    status = model.solution_.status
    if model.stop == "validation" and status is Status.TRAIN_ERROR:
        return status.name, _BY_VALIDATION
    return status.name, status.sentence


def _widths(model: "DeepMatrixCompletion") -> str:
    if not model.widths_:
        return "none (depth 1)"
    text = ", ".join(map(str, model.widths_))
    full = min(len(model.left_), model.right_.shape[1])
    return text + (f" (capped: the full width is {full})" if model.capped_ else " (full)")
