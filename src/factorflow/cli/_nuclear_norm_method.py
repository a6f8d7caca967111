"""``--method nuclear-norm``: the matrix of least nuclear norm that fits the entries."""

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

    from factorflow.estimators import NuclearNormCompletion


@dataclass(frozen=True)
class NuclearNormMethod(AbstractMethod):
    """It fits the entries exactly and has nothing to tune."""

    name = "nuclear-norm"
    waits_for_steps = False  # its first report may take minutes, and it runs no compiled code

    biases: Biases
    seed: int

    @property
    def words(self) -> str:
        return "least nuclear norm, exact on the fitted entries"

    def estimator(self, progress: Callable[[dict], None] | None) -> "NuclearNormCompletion":
        from factorflow.estimators import NuclearNormCompletion

        return NuclearNormCompletion(
            biases=self.biases_of_matrix,
            validation_fraction=VALIDATION_FRACTION,
            random_state=self.seed,
            progress=progress,
        )

    def describe(self, model: "NuclearNormCompletion") -> Description:
        from factorflow.cli._fitted_spectrum import fitted_effective_rank

        status = model.status_
        return Description(
            ending=(status.name, status.sentence) if model.n_iterations_ else NOTHING_LEFT,
            validation_error=None,
            effective_rank=fitted_effective_rank(model),
            settings={"biases": self.biases},
            numbers={
                "nuclear_norm": model.nuclear_norm_,
                "rank": model.rank_,
                "gap": model.gap_,
                "n_iterations": model.n_iterations_,
            },
            facts=(
                ("nuclear norm", f"{model.nuclear_norm_:.5g}"),
                ("rank", str(model.rank_)),
                ("duality gap", f"{model.gap_:.1e} of the nuclear norm"),
                ("iterations", f"{model.n_iterations_:,}"),
            ),
        )

    def figures(self, model: "NuclearNormCompletion") -> list[tuple[str, "Figure"]]:
        from factorflow.cli._fitted_spectrum import spectrum_figures

        return spectrum_figures(model)
