"""Newton's equations against differentiation, and the local solvers against each other."""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from factorflow import (
    Completion,
    DampedNewton,
    DeepLinear,
    InputError,
    LogSVD,
    QuasiNewton,
    Record,
    Sensing,
    Status,
    Stop,
    Symmetric,
    datasets,
    solve,
)
from factorflow._x64 import double_precision
from factorflow.dynamics._newton import aligned, newton_step

TRUTH = datasets.low_rank((6, 5), 2, seed=0)
SQUARE = datasets.low_rank_psd(5, 2, seed=0)


def factors_of(factorization, shape, seed=1):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=size) for size in factorization.shapes(shape))


@pytest.mark.parametrize(
    ("problem", "factorization"),
    [
        (Completion.sample(TRUTH, 20, seed=0), DeepLinear(2, [2])),
        (Completion.sample(SQUARE, 15, seed=0), Symmetric(2)),
        (Sensing.gaussian(SQUARE, 12, symmetric=True, seed=0), Symmetric(2)),
    ],
    ids=["completion", "symmetric", "sensing"],
)
def test_a_step_solves_newtons_equations(problem, factorization):
    with double_precision():
        factors, loss = factors_of(factorization, problem.shape), problem.loss(factorization)
        flat, as_factors = ravel_pytree(factors)

        def value(flat):
            return loss(as_factors(flat))

        slope = np.array(jax.jit(jax.grad(value))(flat))
        hessian = np.array(jax.jit(jax.jacfwd(jax.grad(value)))(flat))
        damping = 0.1 - min(0.0, float(np.linalg.eigvalsh(hessian)[0]))
        stepped = jax.jit(lambda damping: newton_step(loss, factors, damping))
        (step, predicted), (indefinite, _) = stepped(damping), stepped(damping - 0.2)
        step, indefinite = (np.array(ravel_pytree(each)[0]) for each in (step, indefinite))
    np.testing.assert_allclose(hessian @ step + damping * step, -slope, atol=1e-10)
    np.testing.assert_allclose(predicted, -(slope @ step + step @ hessian @ step / 2))
    assert not np.isfinite(indefinite).all()


@pytest.mark.parametrize("factorization", [DeepLinear(2, [3]), Symmetric(3)], ids=str)
def test_aligned_columns_go_along_singular_vectors(factorization):
    with double_precision():
        factors = factors_of(factorization, (5, 5))
        turned = aligned(factorization, factors)
        before, after = (np.array(factorization.matrix(each)) for each in (factors, turned))
        left, right = map(np.array, factorization.halves(turned))
    np.testing.assert_allclose(after, before, atol=1e-12)
    values = np.linalg.svd(before, compute_uv=False)[:3]
    np.testing.assert_allclose(left.T @ left, np.diag(values), atol=1e-12)
    np.testing.assert_allclose(right @ right.T, np.diag(values), atol=1e-12)


PROBLEM = Completion.sample(TRUTH, 24, seed=0)
NARROW = DeepLinear(2, [2])


def run(dynamics, **stop):
    return solve(PROBLEM, NARROW, dynamics, stop=Stop(train_error=None, **stop), record=Record([]))


def test_it_converges_quadratically_to_the_minimum_that_quasi_newton_finds():
    newton = run(DampedNewton(0.9, 0.95), gradient_norm=1e-13)
    assert newton.status is Status.STATIONARY
    assert newton.n_gradients < 150
    quasi = run(QuasiNewton(), gradient_norm=1e-8)
    np.testing.assert_allclose(newton.matrix, quasi.matrix, atol=1e-5)


def test_columns_of_zeros_stay_so_and_cost_nothing():
    def start(factorization, shape, seed):
        wide = np.zeros((2, 3)), np.zeros((2, 5)), np.zeros((6, 2))
        narrow = factors_of(DeepLinear(2, [1]), shape, 3)
        wide[1][:1], wide[2][:, :1] = narrow
        return wide[1:]

    stop = Stop(train_error=None, gradient_norm=1e-12)
    solution = solve(PROBLEM, NARROW, DampedNewton(), init=start, stop=stop, record=Record([]))
    assert not solution.factors[0][1].any()
    assert not solution.factors[1][:, 1].any()
    one = solve(
        PROBLEM, DeepLinear(2, [1]), DampedNewton(), stop=stop, record=Record([]),
        init=lambda *given: factors_of(DeepLinear(2, [1]), given[1], 3),
    )  # fmt: skip
    np.testing.assert_allclose(solution.matrix, one.matrix, atol=1e-10)
    assert solution.n_gradients == one.n_gradients


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: DampedNewton(accept=0.0), "between 0 and 1"),
        (lambda: DampedNewton(trust=1.0), "between 0 and 1"),
        (lambda: QuasiNewton(0), "memory must be 1"),
        (lambda: solve(PROBLEM, DeepLinear(3), DampedNewton()), r"DeepLinear\(2\), Symmetric"),
        (lambda: solve(PROBLEM, LogSVD(), DampedNewton()), "EndToEndFlow"),
    ],
)
def test_what_cannot_be_moved_is_refused(act, said):
    with pytest.raises(InputError, match=said):
        act()
