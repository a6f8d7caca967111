"""How near a positive semidefinite answer is to the least nuclear norm, for commuting operators."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from factorflow._errors import InputError
from factorflow.theory._commuting_limit import CommutingLimit, checked_measurements


@dataclass(frozen=True, eq=False)
class Certificate:
    """A bound from below on the nuclear norm of every matrix that fits, beside that of one.

    Attributes
    ----------
    nuclear_norm
        Of the matrix: its trace, as it is positive semidefinite.
    dual
        ``nu``, ``(p,)``, with ``A*(nu) <= I``.
    dual_value
        ``<nu, y>``: no positive semidefinite matrix that fits has a smaller nuclear norm.
    gap
        ``(nuclear_norm - dual_value) / nuclear_norm``; zero at the optimum.
    slackness
        Largest ``w_k (1 - eig_k(A*(nu))) / nuclear_norm``: complementary slackness; zero at the
        optimum.
    residual
        Largest ``|<A_i, W> - y_i|`` over the largest ``|y_i|``.
    """

    nuclear_norm: float
    dual: np.ndarray
    dual_value: float
    gap: float
    slackness: float
    residual: float


def kkt_certificate(
    operators: np.ndarray, values: np.ndarray, limit: CommutingLimit
) -> Certificate:
    """The proof of Gunasekar et al. as numbers: the flow's own multipliers certify its end.

    The multipliers ``s`` of the flow, divided by the largest eigenvalue of ``A*(s)``, are feasible
    in the dual of ``min trace W`` subject to ``<A_i, W> = y_i``, ``W >= 0``, which is
    ``max <nu, y>`` subject to ``A*(nu) <= I``. By weak duality the trace of the end exceeds the
    least by no more than that share. Up to constants the gap is ``1 / log(1/scale)`` at depth 2 and
    ``scale^(1-2/N)`` at depth N: every additional layer makes the limit arrive sooner.

    Parameters
    ----------
    operators, values
        As for :func:`commuting_flow`.
    limit
        What it returned.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Notes
    -----
    Source: Gunasekar et al. 2017 (arXiv:1705.09280), the optimality conditions in their proof for
    commuting measurements.
    """
    matrix, measured = checked_measurements(operators, values)
    if matrix.shape != (limit.relative_dual.size, limit.eigenvalues.size):
        raise InputError(
            f"The limit is of {limit.relative_dual.size} measurements of "
            f"{limit.eigenvalues.size} eigenvalues; the operators have the shape {matrix.shape}."
        )
    dual = _feasible(limit.relative_dual, matrix, measured)
    trace = float(limit.eigenvalues.sum())
    value = float(dual @ measured)
    slack = limit.eigenvalues * (1 - dual @ matrix)
    left = np.abs(matrix @ limit.eigenvalues - measured).max()
    return Certificate(
        nuclear_norm=trace,
        dual=dual,
        dual_value=value,
        gap=(trace - value) / trace,
        slackness=float(slack.max()) / trace,
        residual=float(left / (np.abs(measured).max() or 1.0)),
    )


def _feasible(dual: np.ndarray, matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    largest = (dual @ matrix).max()
    # At a large scale they may certify nothing; zero is feasible and bounds the trace by zero.
    return dual / largest if largest > 0 and dual @ values > 0 else np.zeros_like(dual)


def least_trace(operators: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Eigenvalues of the positive semidefinite matrix of least nuclear norm that fits.

    In the common eigenbasis it is a linear program, ``min sum_k w_k`` subject to ``A w = y`` and
    ``w >= 0``, solved by HiGHS.

    Parameters
    ----------
    operators, values
        As for :func:`commuting_flow`.

    Returns
    -------
    numpy.ndarray
        ``w``, ``(n,)``; one of several where the least is not unique.

    Raises
    ------
    InputError
        If no positive semidefinite matrix has these values.
    """
    matrix, measured = checked_measurements(operators, values)
    unit = np.abs(measured).max() or 1.0  # the solver's tolerances are absolute
    found = linprog(np.ones(matrix.shape[1]), A_eq=matrix, b_eq=measured / unit, bounds=(0, None))
    if found.status != 0:
        raise InputError("No positive semidefinite matrix has these values: they contradict it.")
    return unit * found.x
