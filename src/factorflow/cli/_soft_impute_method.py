"""``--method soft-impute``: least squares with a penalty on the nuclear norm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factorflow.cli._abstract_method import (
    NOTHING_LEFT,
    VALIDATION_FRACTION,
    AbstractMethod,
    Biases,
    Description,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from factorflow.estimators import SoftImpute


@dataclass(frozen=True)
class SoftImputeMethod(AbstractMethod):
    """The weight of the penalty is chosen on held-out entries."""

    name = "soft-impute"

    biases: Biases
    seed: int

    @property
    def words(self) -> str:
        return "soft-impute, weight by validation"

    def estimator(self, progress: Callable[[dict], None] | None) -> "SoftImpute":
        from factorflow.estimators import SoftImpute

        return SoftImpute(
            biases=self.biases_of_matrix,
            validation_fraction=VALIDATION_FRACTION,
            random_state=self.seed,
            progress=progress,
        )

    def describe(self, model: "SoftImpute") -> Description:
        from factorflow.cli._fitted_spectrum import fitted_effective_rank

        status = model.status_
        return Description(
            ending=NOTHING_LEFT if model.path_ is None else (status.name, status.sentence),
            validation_error=model.validation_error_,
            effective_rank=fitted_effective_rank(model),
            settings={"biases": self.biases},
            numbers={"weight": model.weight_, "rank": model.rank_, "gap": model.gap_},
            facts=(
                ("weight", _weight(model)),
                ("rank", str(model.rank_)),
                ("duality gap", f"{model.gap_:.1e} of the objective"),
            ),
        )

    def figures(self, model: "SoftImpute") -> list[tuple[str, "Figure"]]:
        from factorflow.cli._fitted_spectrum import new_figure, spectrum_figures
        from factorflow.plots import plot_path

        if model.path_ is None:
            return []
        figure = new_figure()
        plot_path(model.path_, figure.subplots())
        caption = (
            "Errors and rank over the weights of the penalty, from the largest down, of the fits "
            "that chose the weight: the one where the dotted line stands."
        )
        return [(caption, figure), *spectrum_figures(model)]


def _weight(model: "SoftImpute") -> str:
    if model.path_ is None:
        return "none"
    return f"{model.weight_:.4g}, of a path of {len(model.path_.weights)}"
