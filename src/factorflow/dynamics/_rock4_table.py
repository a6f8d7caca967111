"""The coefficients of ROCK4: what is stored of them, and what follows from it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

# The error estimate is this times (h dF/dy)^4 y where the field is linear and h small. It only
# says what a tolerance means: with half of it, a flow at the tolerance 0.3 leaves its course.
_ERROR_SCALE = 0.02
STORED = "rock4.csv"


@dataclass(frozen=True)
class Scheme:
    """One method of the family.

    Its stability polynomial is ``R(z) = w(z) P(z) / (w(0) P(0))``, where `w` of degree 4 has the
    two given roots and their conjugates and `P` is the polynomial of degree ``stages - 4``
    orthogonal on ``[-length, 0]`` under the weight ``w(z)^2 / sqrt(-z (z + length))``. The stages
    of `P` follow its recurrence; four more, whose tableau is `finish` (``a21, a31, a32, a41, a42,
    a43, b1, b2, b3, b4``), bring `w` and make the whole of fourth order.
    """

    stages: int
    length: float
    roots: tuple[complex, complex]
    finish: tuple[float, ...]

    @cached_property
    def recurrence(self) -> np.ndarray:
        """Rows ``mu, nu, kappa`` of ``g_j = mu h F(g_{j-1}) + nu g_{j-1} + kappa g_{j-2}``.

        In ``x = 1 + 2 z / length`` the monic orthogonal polynomials are ``p_j = (x - a_j) p_{j-1}
        - b_j p_{j-2}`` (Stieltjes' procedure, on Chebyshev's points); the stages are ``p_j``
        over its value at ``z = 0``.
        """
        degree = self.stages - 4
        n_points = 2 * degree + 20
        x = np.cos((np.arange(n_points) + 0.5) * np.pi / n_points)
        weight = self.finishing_polynomial((x - 1) * self.length / 2) ** 2
        weight /= weight.max()
        before, now, size = np.zeros(n_points), np.ones(n_points), np.inf
        at_zero = [0.0, 1.0]
        rows = []
        for _ in range(degree):
            new_size = weight @ now**2
            a, b = (weight * x) @ now**2 / new_size, new_size / size
            before, now, size = now, (x - a) * now - b * before, new_size
            at_zero.append((1 - a) * at_zero[-1] - b * at_zero[-2])
            earlier, last, value = at_zero[-3:]
            rows.append((2 / self.length * last, (1 - a) * last, -b * earlier) / np.array(value))
        return np.array(rows)

    def finishing_polynomial(self, z):
        """``w(z) / w(0)``."""
        values = (abs(z - root) ** 2 / abs(root) ** 2 for root in self.roots)
        return np.prod(np.stack(list(values)), axis=0)

    def stability(self, z: np.ndarray) -> np.ndarray:
        """``R(z)``, for real `z`."""
        before, now = np.zeros_like(z), np.ones_like(z)
        for mu, nu, kappa in self.recurrence:
            before, now = now, (mu * z + nu) * now + kappa * before
        return self.finishing_polynomial(z) * now

    @cached_property
    def tableau(self) -> np.ndarray:
        """Butcher's, of shape ``(stages + 1, stages)``; the last row is that of the step's end."""
        degree = self.stages - 4
        tableau = np.zeros((self.stages + 1, self.stages))
        for j, (mu, nu, kappa) in enumerate(self.recurrence):
            tableau[j + 1] = nu * tableau[j] + kappa * tableau[j - 1]  # kappa is 0 where j is
            tableau[j + 1, j] += mu
        tableau[degree + 1 :] = tableau[degree]
        tableau[degree + 1 :, degree:] += self._lower
        return tableau

    @property
    def _lower(self) -> np.ndarray:
        """The tableau of the last four stages alone, less its first row."""
        return _filled(self.finish)

    @cached_property
    def turns(self) -> np.ndarray:
        """What each of the last four slopes adds to each of the four rows that still follow.

        Row `i` is for the `i`-th of them, and stands for the end of the step where no stage is
        left.
        """
        lower = self._lower
        return np.array([[lower[min(i + k, 3), i] for k in range(4)] for i in range(4)])

    @cached_property
    def error_weights(self) -> np.ndarray:
        """Weights of the last four slopes and of the one at the end, for the error over `h`.

        The difference of the method and one of third order that also uses the slope at the end:
        the direction is the only one that leaves the order conditions alone.
        """
        degree, square = self.stages - 4, np.zeros((self.stages + 1,) * 2)
        square[:, :-1] = self.tableau
        times = square.sum(axis=1)
        twice = square @ times
        conditions = np.stack([np.ones_like(times), times, times**2, twice])[:, degree:]
        weights = np.append(np.linalg.solve(conditions[:, :4], -conditions[:, 4]), 1.0)
        return _ERROR_SCALE / (weights @ (square @ twice)[degree:]) * weights


class Table(NamedTuple):
    """All methods, one after the other."""

    stages: np.ndarray  # (methods,)
    lengths: np.ndarray  # (methods,): of the stability intervals
    offsets: np.ndarray  # (methods,): first row of a method in the next two
    recurrences: np.ndarray  # (rows, 3)
    times: np.ndarray  # (rows,): times of the stages in units of h, from the second stage on
    turns: np.ndarray  # (methods, 5, 4); the slope at the end adds nothing
    error_weights: np.ndarray  # (methods, 5)


@lru_cache(maxsize=1)
def schemes() -> tuple[Scheme, ...]:
    """The stored methods, by their number of stages."""
    with files("factorflow.dynamics").joinpath(STORED).open() as stored:
        rows = np.loadtxt(stored, delimiter=",", skiprows=1)
    return tuple(
        Scheme(int(row[0]), row[1], (complex(*row[2:4]), complex(*row[4:6])), tuple(row[6:]))
        for row in rows
    )


@lru_cache(maxsize=1)
def table() -> Table:
    """What a step reads."""
    all_of_them = schemes()
    stages = np.array([each.stages for each in all_of_them])
    recurrences = [np.pad(each.recurrence, ((0, 4), (0, 0))) for each in all_of_them]
    return Table(
        stages=stages,
        lengths=np.array([each.length for each in all_of_them]),
        offsets=np.append(0, np.cumsum(stages)[:-1]),
        recurrences=np.concatenate(recurrences),
        times=np.concatenate([each.tableau.sum(axis=1)[1:] for each in all_of_them]),
        turns=np.stack([np.pad(each.turns, ((0, 1), (0, 0))) for each in all_of_them]),
        error_weights=np.stack([each.error_weights for each in all_of_them]),
    )


def _filled(finish: tuple[float, ...]) -> np.ndarray:
    lower = np.zeros((4, 4))
    lower[np.tril_indices(4)] = finish
    return lower
