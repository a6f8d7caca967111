"""What the command needs of a method, and what a fit by any method tells of itself."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from factorflow.estimators import AbstractMatrixCompletion, TensorCompletion
    from factorflow.problems import Completion

MatrixBiases = Literal["none", "global", "rows+columns"]
Biases = Literal["none", "global", "rows+columns", "axes"]

VALIDATION_FRACTION = 0.1
"""Share of the fitted entries that a method holds out for its own choices."""

NOTHING_LEFT = ("NOTHING_LEFT", "The biases fit every entry; nothing was left to fit.")


@dataclass(frozen=True)
class Description:
    """What a fit tells of itself.

    Attributes
    ----------
    ending
        Name and sentence of how it ended.
    validation_error
        Root-mean-square error on the entries it held out itself; None without any.
    effective_rank
        Of the low-rank part.
    settings
        What the method was given, for the JSON file.
    numbers
        What only this method has, for the JSON file.
    facts
        The same in words, as lines of a name and a text.
    """

    ending: tuple[str, str]
    validation_error: float | None
    effective_rank: float
    settings: dict[str, Any]
    numbers: dict[str, Any]
    facts: tuple[tuple[str, str], ...]


class AbstractMethod(abc.ABC):
    """An estimator and its settings, behind a face that is the same for all.

    A concrete class is a frozen dataclass of its settings.

    Attributes
    ----------
    name
        As ``--method`` has it.
    work
        What the time goes to, in a word.
    waits_for_steps
        Whether Ctrl-C must wait for the next report of the fit: in compiled code it would lose
        what was reached. Else the fit takes it at any moment.
    biases, seed
        What is taken off first, and the random state.
    """

    name: ClassVar[str]
    work: ClassVar[str] = "fit"
    waits_for_steps: ClassVar[bool] = True
    biases: Biases
    seed: int

    @property
    @abc.abstractmethod
    def words(self) -> str:
        """The method in words, short, without the biases."""

    @abc.abstractmethod
    def estimator(
        self, progress: Callable[[dict], None] | None
    ) -> "AbstractMatrixCompletion | TensorCompletion":
        """The estimator, not yet fitted."""

    @property
    def biases_of_matrix(self) -> MatrixBiases:
        """The biases, of a method of matrices."""
        assert self.biases != "axes"
        return self.biases

    def predict(self, model: Any, entries: "Completion") -> "np.ndarray":
        """The fitted values where a problem has entries."""
        return model.predict(*entries.indices)

    @abc.abstractmethod
    def describe(self, model: Any) -> Description:
        """What the estimator tells once it is fitted."""

    @abc.abstractmethod
    def figures(self, model: Any) -> list[tuple[str, "Figure"]]:
        """Captions and figures of the fit for the report."""
