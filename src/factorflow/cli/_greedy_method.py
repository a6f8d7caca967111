"""``--method greedy``: one rank at a time, the rank chosen on held-out entries."""

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

    from factorflow.estimators import GreedyLowRankCompletion


@dataclass(frozen=True)
class GreedyMethod(AbstractMethod):
    """The rank is chosen on held-out entries."""

    name = "greedy"

    biases: Biases
    seed: int

    @property
    def words(self) -> str:
        return "greedy low-rank learning, rank by validation"

    def estimator(self, progress: Callable[[dict], None] | None) -> "GreedyLowRankCompletion":
        from factorflow.estimators import GreedyLowRankCompletion

        return GreedyLowRankCompletion(
            biases=self.biases_of_matrix,
            validation_fraction=VALIDATION_FRACTION,
            random_state=self.seed,
            progress=progress,
        )

    def describe(self, model: "GreedyLowRankCompletion") -> Description:
        from factorflow.cli._fitted_spectrum import fitted_effective_rank

        status, path = model.status_, model.path_
        tried = path.last.rank if path is not None and path.points else 0
        return Description(
            ending=NOTHING_LEFT if path is None else (status.name, status.sentence),
            validation_error=model.validation_error_,
            effective_rank=fitted_effective_rank(model),
            settings={"biases": self.biases},
            numbers={"rank": model.rank_, "n_gradients": model.n_gradients_},
            facts=(
                ("rank", f"{model.rank_}, of those up to {tried}"),
                ("gradients", str(model.n_gradients_)),
            ),
        )

    def figures(self, model: "GreedyLowRankCompletion") -> list[tuple[str, "Figure"]]:
        from factorflow.cli._fitted_spectrum import spectrum_figures

        return spectrum_figures(model)
