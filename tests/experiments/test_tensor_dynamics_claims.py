"""What the claims on the dynamics of components are built of, at the smallest sizes."""

import numpy as np
import pytest

from factorflow.experiments import Results
from factorflow.experiments import _razin2021_component_norms as norms
from factorflow.experiments import _razin2021_dominant_component as dominant
from factorflow.experiments import _razin2022_hierarchical as hierarchical
from factorflow.experiments._claim import Size
from factorflow.factorizations import CP
from factorflow.initializers import Balanced
from factorflow.problems import Completion


def test_slope_is_exact_for_polynomials_of_sixth_degree():
    times = np.array([0.1, 0.3, 0.4, 0.7, 0.8, 1.1, 1.3])
    values = np.stack([times**6 - times, 2 * times**3], axis=1)
    slopes = norms._slope(times, values)
    assert slopes == pytest.approx([6 * 0.7**5 - 1, 6 * 0.7**2], abs=1e-10)


def test_moments_leave_out_what_stands_still():
    times = np.linspace(0, 40, 401)
    still = np.exp(-times)[:, None]
    moments = norms._moments(times, still)
    assert len(moments) == norms._N_MOMENTS
    assert moments[0] == norms._BESIDE
    assert times[moments[-1]] == pytest.approx(np.log(100), abs=0.2)  # where the speed is 1 %


@pytest.mark.parametrize("kind", ["CP, order 3", "hierarchical, order 4"])
def test_gradient_is_the_one_that_moves_the_entries(kind):
    factorization, shape = norms._KINDS[kind]
    problem = norms._problem(shape, 1)
    seen = norms._Seen(factorization, problem)
    factors = Balanced(0.5)(factorization, shape, 2)
    row = np.concatenate([factor.ravel() for factor in factors])
    laws = seen.laws(row, 0.0)
    # Of balanced components law, exact velocity and both bounds are one.
    for name in ("exact", "low", "high"):
        np.testing.assert_allclose(laws[name], laws["law"], rtol=1e-9, atol=1e-14)
    residual = seen.gradient(factors)[tuple(problem.indices)] * problem.n_observed
    found = np.asarray(factorization.entries(factors, problem.indices)) - problem.values
    np.testing.assert_allclose(residual, found, atol=1e-14)
    assert seen.norms(row).shape == (len(seen.n_vectors()),)


def test_unbalanced_speeds_are_put_between_their_bounds():
    run = {
        "measured": [[2.0, -3.0]],
        "law": [[1.0, -1.0]],
        "low": [[1.0, -2.5]],
        "high": [[2.5, -1.0]],
        "norms": [[1.0, 8.0]],
        "unbalancedness": 1.0,
        "vectors": [3, 3],
    }
    np.testing.assert_allclose(norms._beyond(run), 0.5 / np.sqrt(13))
    np.testing.assert_allclose(norms._speed(run), [[2, 3]])
    np.testing.assert_allclose(norms._most(run), [[2**2, 1.25**2]])


def test_gradient_at_zero_is_that_of_the_robust_loss():
    case = dominant.DominantCase(4, "balanced", 1e-2, 0)
    problem = dominant._problem(case)
    error, slope = dominant._at_zero(problem)
    # A component with a zero vector: the derivative by that vector is the contracted slope.
    vectors = np.random.default_rng(0).standard_normal((4, 4, 1))
    loss = problem.loss(CP(1))
    given = (vectors[0], vectors[1], vectors[2], 0 * vectors[3])
    value, moves = loss.value_and_gradient(given)
    assert 2 * float(value) == pytest.approx(error, rel=1e-12)
    expected = np.einsum("ijkl,i,j,k->l", slope, *vectors[:3, :, 0])
    np.testing.assert_allclose(np.asarray(moves[3])[:, 0], expected, atol=1e-15)


def test_the_leading_component_is_the_one_that_the_gradient_favours():
    slope = np.zeros((3, 3, 3))
    slope[0, 0, 0], slope[1, 1, 1], slope[2, 2, 2] = -1.0, -2.0, 3.0
    even = [np.eye(3)] * 3
    assert dominant._first_to_grow(even, slope) == 1
    assert dominant._first_to_grow([np.diag([3.0, 1.0, 9.0])] * 3, slope) == 0


def test_distance_sees_neither_speed_nor_what_comes_after():
    corner = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    ends = np.linspace(0, 1, 200)[:, None]
    path = np.concatenate([corner[0] + ends**3 * (corner[1] - corner[0]), corner[2:]])[:, None]
    reference = (np.linspace(0, 1, 30)[:, None] * corner[1])[:, None]
    assert dominant._distance(path, reference) < 1e-2
    assert dominant._distance(path, reference + 0.3) == pytest.approx(0.3 / np.hypot(1.3, 0.3), 0.1)
    followed = dominant._followed(reference)
    assert np.linalg.norm(followed[-1] - reference[-1]) < 0.05 <= 1 - followed[-2].max()


@pytest.mark.parametrize("kind", ["hierarchical", "CP"])
def test_truths_have_their_rank(kind):
    truth = hierarchical._truth(kind, 3)
    assert np.linalg.norm(truth) == pytest.approx(1)
    for rows in ((0,), (1,), (2,), (3,), (0, 1)):
        unfolded = np.moveaxis(truth, rows, range(len(rows))).reshape(6 ** len(rows), -1)
        assert np.linalg.matrix_rank(unfolded, tol=1e-10) == 2
    across = np.linalg.matrix_rank(truth.transpose(0, 2, 1, 3).reshape(36, 36), tol=1e-10)
    assert across == (4 if kind == "hierarchical" else 2)


@pytest.mark.parametrize("of", [norms, dominant, hierarchical])
def test_results_are_judged(of):
    """With results that say what is claimed every check holds, and the figures are drawn."""
    rng = np.random.default_rng(1)
    cases = of.CLAIM.cases(Size(2))
    finding = of.CLAIM.judge(Results([(case, _ideal(of, case, rng)) for case in cases]))
    assert all(check.holds for check in finding.checks)
    for _, figure in finding.figures:
        figure.canvas.draw()


def _ideal(of, case, rng):
    times = np.geomspace(1, 1e4, norms._N_MOMENTS)
    if isinstance(case, norms.NormVelocityCase):
        speeds = rng.uniform(1, 2, (norms._N_MOMENTS, 6))
        sizes = {"law": speeds, "exact": 1.1 * speeds, "measured": 1.1 * speeds}
        if case.start == "balanced":
            sizes["measured"] = speeds
        bounds = {"low": speeds, "high": 2 * speeds, "norms": speeds, "vectors": np.full(6, 3)}
        return {**sizes, **bounds, "time": times, "unbalancedness": 0.1, "drift": 1e-12}
    if isinstance(case, norms.NormSpreadCase):
        number = 8.0 if case.order == 2 else 2 + 10 * case.scale / case.order
        run = np.geomspace(1e-3, 1, len(times))[:, None] * np.linspace(1, 0.1, 8)
        return {"effective_rank": number, "beyond": case.scale, "time": times, "norms": run}
    if isinstance(case, dominant.DominantCase):
        alone = np.geomspace(1e-3, 1, len(times))
        return {
            "distance": case.scale * rng.uniform(0.9, 1.1), "leads": True, "runner_up": case.scale,
            "rest": 1e-5, "status": "TRAIN_ERROR", "time": times, "norms": alone[:, None] ** [1, 2],
            "single_time": times, "single_norm": alone[:, None],
        }  # fmt: skip
    own = case.truth == case.method
    error = (1e-3 if case.n_observed >= 300 else 0.5) if own else 0.9 / case.n_observed**0.1
    return {
        "relative_error": error, "effective_rank": 2.0, "n_gradients": 100, "status": "TRAIN_ERROR",
    }  # fmt: skip


def test_a_completion_is_described():
    case = hierarchical.HierarchicalCase("CP", "CP", 700, 0)
    assert isinstance(case.problem, Completion)
    found = {}

    def keep(case, result, seconds=None):
        found[case] = dict(result)

    hierarchical.HierarchicalCase.run_many([case], keep, None)
    assert found[case]["status"] == "TRAIN_ERROR"
    assert found[case]["relative_error"] < 0.01
    assert 1 < found[case]["effective_rank"] < 2.5
