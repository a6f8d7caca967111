"""How near a recorded trajectory is to a path that raises the rank one by one."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from factorflow._errors import InputError
from factorflow.theory._numbers import checked_positive
from factorflow.theory._polylines import frechet_distance, ordered_distance


class DistanceToPoints(NamedTuple):
    """Least Frobenius distance to each critical point, and at which record, ``(R + 1,)`` each."""

    distances: np.ndarray
    records: np.ndarray


@dataclass(frozen=True)
class SaddleVisit:
    """An unbroken stay near one critical point.

    Attributes
    ----------
    which
        Number of the critical point, its rank on a greedy path.
    first, last
        The first and the last record of the stay.
    entered, left
        The times of these records.
    closest
        The least distance, relative to the size of the largest critical point.
    """

    which: int
    first: int
    last: int
    entered: float
    left: float
    closest: float


def distance_to_points(trajectory: xr.Dataset, points: ArrayLike) -> DistanceToPoints:
    """How near a trajectory comes to each critical point of a path: ``min_t ||W(t) - W_r||_F``.

    Parameters
    ----------
    trajectory
        With the variable ``matrix``, recorded by ``Record(extra=[trajectories.matrix()])``.
    points
        ``W_0, ..., W_R``, shape ``(R + 1, m, n)``.

    Returns
    -------
    DistanceToPoints
        The minimum is over the records: between two of them it may be less.

    Raises
    ------
    InputError
        If there are no matrices, or their shape is not that of the points.
    """
    path = _matrices(trajectory, "trajectory")
    gaps = _gaps(path, _matching(points, path, "points"))
    return DistanceToPoints(gaps.min(axis=1), gaps.argmin(axis=1))


def aligned_distance(
    trajectory: xr.Dataset,
    reference: xr.Dataset | ArrayLike,
    *,
    symmetric: bool = False,
    relative: bool = True,
) -> float:
    """Distance of two trajectories that does not see how fast either is run through.

    With `P` the polyline through the records of the trajectory and ``V_1, ..., V_q`` the records
    of the reference it is

        min over t_1 <= ... <= t_q of max_i ||V_i - P(t_i)||_F,

    zero if and only if the trajectory passes all records of the reference in their order, at
    whatever times and wherever it goes in between, before and after. The symmetric one is the
    Fréchet distance of the two polylines,

        min over increasing a, b of max_s ||P(a(s)) - V(b(s))||_F,

    where each runs through the whole of both. It is no less, and a distance in the strict sense.

    Parameters
    ----------
    trajectory
        With the variable ``matrix``, recorded by ``Record(extra=[trajectories.matrix()])``.
    reference
        Such a trajectory, or its matrices, shape ``(q, m, n)``.
    symmetric
        Whether to take the Fréchet distance.
    relative
        Whether to divide by the largest Frobenius norm of the reference.

    Returns
    -------
    float
        Exact for the polylines, but for 1e-10 of itself and for rounding.

    Raises
    ------
    InputError
        If there are no matrices, the shapes differ, or the reference is zero everywhere and the
        distance is to be relative.

    Notes
    -----
    A polyline cuts the corners of a curved path, by the square of the step between records: record
    densely where the matrix moves. 256 records of 100 by 100 on either side take seconds.
    """
    path = _matrices(trajectory, "trajectory")
    other = _matching(reference, path, "reference")
    size = float(np.linalg.norm(other, axis=(1, 2)).max()) if relative else 1.0
    if size == 0:
        raise InputError("The reference is zero everywhere; give relative=False.")
    line, vertices = _coordinates(path, other)
    distance = frechet_distance(line, vertices) if symmetric else ordered_distance(vertices, line)
    return distance / size


def present_rank(trajectory: xr.Dataset, threshold: float = 1e-2) -> np.ndarray:
    """Rank at each record: singular values above a share of the largest that is ever reached.

    Parameters
    ----------
    trajectory
        With the variable ``matrix``, recorded by ``Record(extra=[trajectories.matrix()])``.
    threshold
        That share, above 0 and below 1.

    Returns
    -------
    numpy.ndarray
        Integers, ``(records,)``.

    Raises
    ------
    InputError
        If there are no matrices or the threshold is none.
    """
    share = checked_positive("threshold", threshold)
    if share >= 1:
        raise InputError(f"threshold must be a share below 1; got {threshold!r}.")
    values = np.linalg.svd(_matrices(trajectory, "trajectory"), compute_uv=False)
    return np.sum(values > share * values.max(), axis=1)


def saddle_visits(trajectory: xr.Dataset, points: ArrayLike, radius: float) -> list[SaddleVisit]:
    """The stays of a trajectory near the critical points of a path.

    Parameters
    ----------
    trajectory
        With the variable ``matrix``, recorded by ``Record(extra=[trajectories.matrix()])``.
    points
        ``W_0, ..., W_R``, shape ``(R + 1, m, n)``.
    radius
        What is near: ``||W(t) - W_r||_F <= radius max_k ||W_k||_F``.

    Returns
    -------
    list of SaddleVisit
        In the order of their beginning, one for each unbroken sequence of records that are near.
        A large radius makes them overlap; a small one, or few records, may miss a visit.

    Raises
    ------
    InputError
        If there are no matrices, their shape is not that of the points, all points are zero, or
        the radius is none.
    """
    path = _matrices(trajectory, "trajectory")
    saddles = _matching(points, path, "points")
    size = np.linalg.norm(saddles, axis=(1, 2)).max()
    if size == 0:
        raise InputError("points are all zero: no size to take the radius of.")
    gaps = _gaps(path, saddles) / size
    times = trajectory["time"].values
    near = gaps <= checked_positive("radius", radius)
    visits = [
        SaddleVisit(
            which,
            first,
            last,
            float(times[first]),
            float(times[last]),
            float(gaps[which, first : last + 1].min()),
        )
        for which, inside in enumerate(near)
        for first, last in _stays(inside)
    ]
    return sorted(visits, key=lambda visit: (visit.first, visit.which))


def _stays(inside: np.ndarray) -> list[tuple[int, int]]:
    """First and last of each unbroken sequence of True."""
    steps = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    firsts, lasts = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _gaps(path: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Frobenius distances, ``(points, records)``."""
    return np.stack([np.linalg.norm(path - point, axis=(1, 2)) for point in points])


def _coordinates(path: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as vectors, of no more coordinates than there are records."""
    stacked = np.concatenate([path, other]).reshape(len(path) + len(other), -1)
    if stacked.shape[1] > stacked.shape[0]:
        stacked = np.asarray(np.linalg.qr(stacked.T, mode="r")).T
    return stacked[: len(path)], stacked[len(path) :]


def _matching(given: Any, path: np.ndarray, name: str) -> np.ndarray:
    found = _matrices(given, name)
    if found.shape[1:] != path.shape[1:]:
        raise InputError(
            f"The matrices of {name} have the shape {found.shape[1:]}, those of the trajectory "
            f"{path.shape[1:]}; they must be the same."
        )
    return found


def _matrices(given: Any, name: str) -> np.ndarray:
    """Float64 matrices of a trajectory or an array, ``(records, m, n)``."""
    if isinstance(given, xr.Dataset):
        if "matrix" not in given:
            raise InputError(
                f"The {name} has no matrices; record them by Record(extra=[trajectories.matrix()])."
            )
        given = given["matrix"].values
    elif name == "trajectory":
        raise InputError(f"trajectory must be an xarray Dataset; got {type(given).__name__}.")
    found = np.asarray(given, np.float64)
    if found.ndim != 3 or not found.size:
        raise InputError(f"{name} must be matrices, shape (records, m, n); got {found.shape}.")
    if not np.isfinite(found).all():
        raise InputError(f"{name} has entries that are not finite.")
    return found
