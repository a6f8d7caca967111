"""How the coefficients of ROCK4 come about: ``python -m factorflow.dynamics._rock4_design``."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, root

from factorflow.dynamics._rock4_table import STORED, Scheme

_LARGEST = 300
_RATIO = 1.08  # of neighbouring numbers of stages
# |R| at the far end of the interval; between the ends it then stays below 0.89.
_END = 0.85
# Of five stages, from which the others are found one after the other.
_FIRST = Scheme(
    5,
    6.0,
    (-0.22 + 2.8j, -2.0 + 1.1j),
    (0.228, -0.38, 0.815, 0.308, -0.413, 0.963, -0.07, 0.43, 0.33, 0.129),
)
_COLUMNS = "stages,length,re1,im1,re2,im2,a21,a31,a32,a41,a42,a43,b1,b2,b3,b4"  # fmt: skip


def design(stages: int, near: Scheme = _FIRST) -> Scheme:
    """The method of so many stages, sought from one of nearly as many.

    Length and roots: ``R(z) = exp(z) + O(z^5)`` and ``|R(-length)| = 0.85``. Of the last four
    stages' ten coefficients, eight conditions of order leave two: they go where the residuals of
    the nine conditions of fifth order have the least sum of squares, with a millionth of the
    coefficients' own against large ones.

    Source: the construction of Abdulle 2002, "Fourth order Chebyshev methods with recurrence
    relation", SIAM J. Sci. Comput. 23, 2041-2054; the numbers are our own.
    """
    scheme = replace(near, stages=stages, length=near.length * (stages / near.stages) ** 2)
    found = root(lambda x: _polynomial_residual(_placed(scheme, x)), _numbers(scheme), tol=1e-14)
    scheme = _placed(scheme, found.x)
    # The heavy weight on the conditions of order leaves an error that Newton's steps remove.
    found = least_squares(
        lambda finish: _weighed(replace(scheme, finish=tuple(finish))), scheme.finish
    )
    return _exactly(replace(scheme, finish=tuple(found.x)))


def order_residuals(tableau: np.ndarray) -> np.ndarray:
    """Residuals of the eight conditions for order 4, by the trees of up to four nodes."""
    a, b = tableau[:-1], tableau[-1]
    c = a.sum(axis=1)
    return np.array(
        [
            b.sum() - 1,
            b @ c - 1 / 2,
            b @ c**2 - 1 / 3,
            b @ a @ c - 1 / 6,
            b @ c**3 - 1 / 4,
            b @ (c * (a @ c)) - 1 / 8,
            b @ a @ c**2 - 1 / 12,
            b @ a @ a @ c - 1 / 24,
        ]
    )


def fifth_order_residuals(tableau: np.ndarray) -> np.ndarray:
    """Residuals of the nine further conditions for order 5."""
    a, b = tableau[:-1], tableau[-1]
    c = a.sum(axis=1)
    return np.array(
        [
            b @ c**4 - 1 / 5,
            b @ (c**2 * (a @ c)) - 1 / 10,
            b @ (a @ c) ** 2 - 1 / 20,
            b @ (c * (a @ c**2)) - 1 / 15,
            b @ a @ c**3 - 1 / 20,
            b @ (c * (a @ a @ c)) - 1 / 30,
            b @ a @ (c * (a @ c)) - 1 / 40,
            b @ a @ a @ c**2 - 1 / 60,
            b @ a @ a @ a @ c - 1 / 120,
        ]
    )


def _numbers(scheme: Scheme) -> np.ndarray:
    first, second = scheme.roots
    return np.array([scheme.length / scheme.stages**2, *_parts(first), *_parts(second)])


def _parts(number: complex) -> tuple[float, float]:
    return number.real, number.imag


def _placed(scheme: Scheme, numbers: np.ndarray) -> Scheme:
    length, re1, im1, re2, im2 = map(float, numbers)
    roots = (complex(re1, im1), complex(re2, im2))
    return replace(scheme, length=length * scheme.stages**2, roots=roots)


def _polynomial_residual(scheme: Scheme) -> np.ndarray:
    series = np.array([1.0])
    for each in scheme.roots:
        series = np.convolve(series, np.array([abs(each) ** 2, -2 * each.real, 1]) / abs(each) ** 2)
    before, now = np.zeros(5), np.eye(5)[0]
    for mu, nu, kappa in scheme.recurrence:
        before, now = now, mu * np.append(0, now[:-1]) + nu * now + kappa * before
    series = np.convolve(series, now)[1:5] * (1, 2, 6, 24) - 1
    end = abs(scheme.stability(np.array([-scheme.length]))[0]) - _END
    return np.append(series, end)


def _weighed(scheme: Scheme) -> np.ndarray:
    tableau = scheme.tableau
    small = 1e-3 * np.array(scheme.finish)  # no large coefficients for little
    return np.concatenate([1e3 * order_residuals(tableau), fifth_order_residuals(tableau), small])


def _exactly(scheme: Scheme) -> Scheme:
    """The nearest with all conditions of order, by Newton's method."""
    for _ in range(5):
        residuals = order_residuals(scheme.tableau)
        slopes = [_slope(scheme, k) for k in range(10)]
        change = np.linalg.lstsq(np.stack(slopes, axis=1), residuals)[0]
        scheme = replace(scheme, finish=tuple(np.array(scheme.finish) - change))
    return scheme


def _slope(scheme: Scheme, k: int) -> np.ndarray:
    ends = []
    for side in (-1e-6, 1e-6):
        finish = np.array(scheme.finish)
        finish[k] += side
        ends.append(order_residuals(replace(scheme, finish=tuple(finish)).tableau))
    return (ends[1] - ends[0]) / 2e-6


def _sizes():
    """All numbers up to a dozen or so, then some."""
    stages = 5
    while stages <= _LARGEST:
        yield stages
        stages = max(stages + 1, round(stages * _RATIO))


def _main() -> None:
    near, lines = _FIRST, [_COLUMNS]
    for stages in _sizes():
        near = design(stages, near)
        first, second = near.roots
        numbers = near.length, *_parts(first), *_parts(second), *near.finish
        lines.append(",".join([str(stages), *(repr(float(number)) for number in numbers)]))
    Path(__file__).with_name(STORED).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    _main()
