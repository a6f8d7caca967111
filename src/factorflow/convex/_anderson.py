"""Anderson acceleration of a fixed-point iteration."""

import numpy as np

_RELATIVE_RIDGE = 1e-12


class Anderson:
    """The next point of a fixed-point iteration ``v <- v + f(v)``, extrapolated from the last ones.

    With ``dF`` and ``dG`` the last differences of the steps ``f(v)`` and of the plain next points
    ``g = v + f(v)``,

        c = argmin ||f - sum_i c_i dF_i||,    next point = g - sum_i c_i dG_i

    (type II; Walker and Ni 2011), with a relative ridge of 1e-12 in the normal equations. Whoever
    calls it guards against a point that was no good, and clears it when the iteration changes.

    Parameters
    ----------
    memory
        Number of differences that are kept.
    """

    def __init__(self, memory: int):
        self._memory = memory
        self.clear()

    def clear(self) -> None:
        """Forget all points."""
        self._steps: list[np.ndarray] = []
        self._points: list[np.ndarray] = []
        self._gram = np.zeros((0, 0))
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def next_point(self, step: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """The extrapolated point from a step and the plain next point, arrays of one shape."""
        if self._last is not None:
            self._remember(step - self._last[0], plain - self._last[1])
        self._last = step, plain
        point = plain.copy()
        if self._steps:
            for weight, difference in zip(self._weights(step), self._points, strict=True):
                point -= weight * difference
        return point

    def _remember(self, step: np.ndarray, point: np.ndarray) -> None:
        if len(self._steps) == self._memory:
            del self._steps[0], self._points[0]
            self._gram = self._gram[1:, 1:]
        self._steps.append(step)
        self._points.append(point)
        products = [np.vdot(step, other) for other in self._steps]
        self._gram = np.pad(self._gram, ((0, 1), (0, 1)))
        self._gram[-1, :] = self._gram[:, -1] = products

    def _weights(self, step: np.ndarray) -> np.ndarray:
        right = np.array([np.vdot(difference, step) for difference in self._steps])
        ridge = _RELATIVE_RIDGE * np.trace(self._gram) * np.eye(len(right))
        return np.linalg.lstsq(self._gram + ridge, right, rcond=None)[0]
