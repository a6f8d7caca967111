"""``--method tensor``: gradient flow on a CP or hierarchical factorization."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from factorflow.cli._abstract_method import (
    VALIDATION_FRACTION,
    AbstractMethod,
    Biases,
    Description,
)
from factorflow.cli._deep_method import Stop, flow_ending

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from factorflow.estimators import TensorCompletion
    from factorflow.problems import Completion

FactorizationName = Literal["cp", "hierarchical"]
Components = int | tuple[int, ...]


@dataclass(frozen=True)
class TensorMethod(AbstractMethod):
    """The settings are those of the estimator."""

    name = "tensor"
    work = "flow"

    factorization: FactorizationName
    components: Components | None
    scale: float
    biases: Biases
    stop: Stop
    seed: int

    @property
    def words(self) -> str:
        return (
            f"gradient flow, {self.factorization} factorization, scale {self.scale:g}, "
            f"stop by {self.stop}"
        )

    def estimator(self, progress: Callable[[dict], None] | None) -> "TensorCompletion":
        from factorflow.estimators import TensorCompletion

        settings: dict[str, Any] = asdict(self)
        seed = settings.pop("seed")
        return TensorCompletion(
            **settings,
            validation_fraction=VALIDATION_FRACTION,
            random_state=seed,
            progress=progress,
        )

    def predict(self, model: "TensorCompletion", entries: "Completion") -> "np.ndarray":
        return model.predict(entries.indices)

    def describe(self, model: "TensorCompletion") -> Description:
        solution = model.solution_
        route = None if solution is None else solution.route
        components = _components(model)
        return Description(
            ending=flow_ending(model),
            validation_error=model.validation_error_,
            effective_rank=model.effective_rank_,
            settings={
                "factorization": self.factorization,
                "components": components,
                "capped": model.capped_,
                "scale": self.scale,
                "biases": self.biases,
                "stop": self.stop,
            },
            numbers={"n_gradients": model.n_gradients_, "route": route},
            facts=(
                ("components", _in_words(components, model.capped_)),
                ("gradients", f"{model.n_gradients_:,}"),
                ("route", route or "none"),
            ),
        )

    def figures(self, model: "TensorCompletion") -> list[tuple[str, "Figure"]]:
        from factorflow.report import completion_figures

        return completion_figures(model.path_)


def _components(model: "TensorCompletion") -> list[int]:
    """Number of components; of a hierarchical factorization that of each node, the root's last."""
    norms = model.component_norms_
    return [len(each) for each in (norms if isinstance(norms, tuple) else (norms,))]


def _in_words(components: list[int], capped: bool) -> str:
    return ", ".join(map(str, components)) + (" (they constrain the tensor)" if capped else "")
