"""Runs that complete a random tensor by few components, or by a local solver on many."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from factorflow._x64 import double_precision
from factorflow.dynamics import GreedyLowRank, Stop, solve
from factorflow.experiments._tensors import StartedCase, TensorCase, rank_of
from factorflow.factorizations import CP
from factorflow.trajectories import Record

_LARGE = 1e-2  # share of the largest component at which one counts


@dataclass(frozen=True)
class ComponentsCase(TensorCase):
    """By greedy learning of components, to one train error and on to a smaller one.

    Parameters
    ----------
    components
        The largest number of them.
    train_error, further
        Mean squared train errors at which gradients and errors are taken.
    most
        Limit on the gradients.
    ranked
        Whether the rank of the further end is estimated.
    """

    kind: ClassVar[str] = "tensor completion by greedy components"
    revision: ClassVar[int] = 2
    components: int = 8
    train_error: float = 1e-6
    further: float = 1e-10
    most: int = 3000
    ranked: bool = False

    @property
    def group(self):
        return *self.alike, self.components

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _by_components(case))


def _by_components(case: ComponentsCase) -> dict[str, Any]:
    parts = case.problem, CP(case.components), GreedyLowRank()
    common: Any = {"record": Record([]), "throw": False}

    def to(train_error: float, resume=None):
        stop = Stop(train_error=train_error, n_gradients=case.most)
        return solve(*parts, stop=stop, resume=resume, **common)

    first = to(case.train_error)
    last = to(case.further, first) if first.status.name == "TRAIN_ERROR" else first
    norms, further = (np.asarray(each.component_norms[0]) for each in (first, last))
    count = int(np.sum(further > 0))
    return {
        "relative_error": _relative(first.tensor, case),
        "train_error": first.train_error,
        "status": first.status.name,
        "n_gradients": first.n_gradients,
        "n_components": int(np.sum(norms > 0)),
        "largest_component": norms.max(),
        "further_status": last.status.name,
        "further_train_error": last.train_error,
        "further_n_gradients": last.n_gradients,
        "further_error": _relative(last.tensor, case),
        "further_components": count,
        "further_largest_component": further.max(),
    } | rank_of(last.tensor, case.ranked, components=count)


@dataclass(frozen=True)
class QuasiNewtonCase(StartedCase):
    """By SciPy's L-BFGS-B on all components, from the start that a flow would have.

    Parameters
    ----------
    memory
        Number of gradient differences kept.
    """

    kind: ClassVar[str] = "tensor completion by L-BFGS"
    revision: ClassVar[int] = 1
    train_error: float = 1e-6
    most: int = 5000
    memory: int = 20

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _by_quasi_newton(case))


class _Arrived(Exception):
    """The train error was reached."""


def _by_quasi_newton(case: QuasiNewtonCase) -> dict[str, Any]:
    problem, factorization = case.problem, case.factorization
    start = case.start(factorization, problem.shape, case.instance)
    with double_precision():
        flat, as_factors = ravel_pytree(tuple(map(jnp.asarray, start)))
        loss = problem.loss(factorization)
        # Its first step is at most as long as the gradient, which is tiny near zero.
        times = case.scale**-case.order
        both = jax.jit(lambda loss, flat: _flat(loss, as_factors(flat)))
        seen: dict[str, Any] = {"n_gradients": 0}

        def function(at: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = both(loss, jnp.asarray(at))
            seen.update(n_gradients=seen["n_gradients"] + 1, at=at.copy(), value=float(value))
            if 2 * seen["value"] <= case.train_error:
                raise _Arrived
            return times * seen["value"], times * np.asarray(gradient)

        settings = {"maxcor": case.memory, "maxfun": case.most, "maxiter": case.most}
        options = settings | {"ftol": 0.0, "gtol": 0.0}
        status = "TRAIN_ERROR"
        try:
            end = minimize(function, flat, jac=True, method="L-BFGS-B", options=options).x
            function(end)
            status = "STALLED"
        except _Arrived:
            end = seen["at"]
        factors = as_factors(jnp.asarray(end))
        norms = np.asarray(factorization.component_norms(factors)[0])
        tensor = np.asarray(factorization.tensor(factors))
    return {
        "relative_error": _relative(tensor, case),
        "train_error": 2 * seen["value"],
        "status": status,
        "n_gradients": seen["n_gradients"],
        "n_components": int(np.sum(norms >= _LARGE * norms.max())),
        "largest_component": norms.max(),
    }


def _flat(loss, factors):
    value, gradient = loss.value_and_gradient(factors)
    return value, ravel_pytree(gradient)[0]


def _relative(tensor: np.ndarray, case: TensorCase) -> float:
    truth: Any = case.problem.truth
    return float(np.linalg.norm(tensor - truth) / np.linalg.norm(truth))
