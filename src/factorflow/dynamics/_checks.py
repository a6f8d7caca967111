"""Whether the parts of a run fit together, said before it starts."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics
from factorflow.dynamics._early_stopping import EarlyStopping
from factorflow.dynamics._engine import Engine
from factorflow.dynamics._stop import Stop
from factorflow.factorizations import AbstractFactorization
from factorflow.initializers import AbstractInitializer
from factorflow.trajectories import Record, Solution

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
        if name == "early_stopping":
            _check_held_out(part, problem)
            continue
        kind, example = _EXPECTED[name]
        own_initializer = name == "init" and callable(part)
        if not isinstance(part, kind) and not own_initializer:
            raise InputError(f"{name} must be {example}; got {part!r}.")
    parts["dynamics"].check(parts["factorization"])
    _check_limit(parts["dynamics"], parts["stop"])


def _check_held_out(early: Any, problem: Any) -> None:
    if early is None:
        return
    if not isinstance(early, EarlyStopping):
        raise InputError(f"early_stopping must be an EarlyStopping(held_out); got {early!r}.")
    if tuple(early.held_out.shape) != tuple(problem.shape):
        raise InputError(
            f"The held-out entries have shape {early.held_out.shape}, the problem has shape "
            f"{problem.shape}; problem.split(fraction, seed) gives both in one shape."
        )


def _check_limit(dynamics: AbstractDynamics, stop: Stop) -> None:
    if not dynamics.counts_gradients and stop.n_gradients not in (None, Stop().n_gradients):
        raise InputError(
            "Stop(n_gradients=...) needs a solver that counts its gradients; implicit solvers do "
            "not. Give Stop(n_gradients=None, time=...) instead."
        )


def stop_for(dynamics: Any, stop: Stop | None) -> Stop:
    """The stop that was given, or the default of the dynamics, whose kind is judged later."""
    if stop is not None:
        return stop
    return dynamics.default_stop if isinstance(dynamics, AbstractDynamics) else Stop()


def checked_factors(init, factorization, shape, seed) -> tuple[np.ndarray, ...]:
    """The starting factors, refused if they are not of the shapes that were asked for."""
    given = init(factorization, shape, seed)
    factors = tuple(np.asarray(factor, dtype=np.float64) for factor in given)
    wanted = [tuple(size) for size in factorization.shapes(shape)]
    shapes = [factor.shape for factor in factors]
    if shapes != wanted:
        raise InputError(f"The initializer gave factors of shapes {shapes}; expected {wanted}.")
    return factors


def check_same_run(resume: Any, engine: Engine, shape: tuple[int, ...]) -> None:
    """Refuse to resume from a run of other parts or of another problem."""
    if not isinstance(resume, Solution):
        raise InputError(f"resume must be a Solution; got {type(resume).__name__}.")
    ours, theirs = (each.dynamics.with_arrays() for each in (engine, resume))
    inner = resume.state.inner  # of a run that did not look between its steps it has no last path
    last_path = [getattr(inner, name, ()) for name in ("ends", "path")]
    same = (
        resume.shape == tuple(shape)
        and resume.factorization == engine.factorization
        and bool(eqx.tree_equal(theirs, ours))
        and not (engine.interpolates and None in last_path)
    )
    if not same:
        raise InputError(
            "resume needs a solution of a run with the same shape, factorization, dynamics and "
            "kind of schedule; this one is of another."
        )
    factors = tuple(map(jnp.asarray, resume.state.factors))
    if not np.isclose(engine.loss(factors), resume.state.train_loss, rtol=1e-6, atol=0):
        raise InputError(
            "resume needs a solution of the same problem; this one has another loss there."
        )
