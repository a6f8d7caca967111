"""Whether the parts of a run fit together, said before it starts."""

from typing import Any

import jax
import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics, State
from factorflow.dynamics._stop import Stop
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer
from factorflow.trajectories import Record

_EXPECTED = {
    "factorization": (AbstractFactorization, "a factorization such as DeepLinear(3)"),
    "dynamics": (AbstractDynamics, "a dynamics such as GradientFlow()"),
    "init": (AbstractInitializer, "an initializer such as Gaussian(1e-3)"),
    "stop": (Stop, "a Stop, such as Stop(train_error=1e-6)"),
    "record": (Record, "a Record"),
}


def check_parts(problem: Any, **parts: Any) -> None:
    """Refuse parts of the wrong kind, and a limit on gradients that nothing counts.

    Raises
    ------
    InputError
        Naming the part, what was expected and what was given.
    """
    if not (hasattr(problem, "loss") and hasattr(problem, "shape")):
        raise InputError(
            f"problem must be a Completion or have a shape and a loss; got "
            f"{type(problem).__name__}. Completion.of(X) makes one of an array with NaN."
        )
    for name, part in parts.items():
        kind, example = _EXPECTED[name]
        own_initializer = name == "init" and callable(part)
        if not isinstance(part, kind) and not own_initializer:
            raise InputError(f"{name} must be {example}; got {part!r}.")
    _check_limit(parts["dynamics"], parts["stop"])


def _check_limit(dynamics: AbstractDynamics, stop: Stop) -> None:
    if not dynamics.counts_gradients and stop.n_gradients not in (None, Stop().n_gradients):
        raise InputError(
            "Stop(n_gradients=...) needs a solver that counts its gradients; implicit solvers do "
            "not. Give Stop(n_gradients=None, time=...) instead."
        )


def checked_factors(init, factorization, shape, seed) -> tuple[np.ndarray, ...]:
    """The starting factors, refused if they are not of the shapes that were asked for."""
    given = init(factorization, shape, seed)
    factors = tuple(np.asarray(factor, dtype=np.float64) for factor in given)
    wanted = [tuple(size) for size in factorization.shapes(shape)]
    shapes = [factor.shape for factor in factors]
    if shapes != wanted:
        raise InputError(f"The initializer gave factors of shapes {shapes}; expected {wanted}.")
    return factors


def check_same_run(given: State, fresh: State) -> None:
    """Refuse to resume from the state of another kind of run."""
    same = jax.tree.structure(given) == jax.tree.structure(fresh)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(state)] for state in (given, fresh)]
    if not same or shapes[0] != shapes[1]:
        raise InputError(
            "resume needs a solution of a run with the same shape, factorization, dynamics and "
            "kind of schedule; this one is of another."
        )
