"""The model of costs takes the route that timing found the faster."""

import numpy as np
import pytest

from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion
from factorflow.problems._route import choose_route


@pytest.mark.parametrize(
    ("shape", "width", "n_observed", "route"),
    [
        ((100, 100), 100, 2_000, "dense"),
        ((20, 20), 20, 100, "dense"),
        ((300, 300), 20, 45_000, "dense"),
        ((1000, 1000), 10, 500_000, "dense"),
        ((610, 9724), 50, 90_000, "entries"),
        ((6040, 3706), 32, 1_000_000, "entries"),
        ((1000, 1000), 1000, 50_000, "entries"),
        ((6040, 3706), None, 1_000_000, "dense"),
    ],
)
def test_known_cases(shape, width, n_observed, route):
    assert choose_route(shape, width, n_observed) == route


def test_more_observations_never_lead_away_from_dense():
    routes = [choose_route((1000, 2000), 30, p) for p in np.geomspace(1, 2e6, 50)]
    assert routes[0] == "entries"
    assert routes == sorted(routes, reverse=True)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_problem_follows_the_choice_and_the_wish(depth):
    problem = Completion.sample(np.zeros((10, 8)), 20)
    assert problem.loss(DeepLinear(depth)).route == "dense"
    assert problem.loss(DeepLinear(depth), "dense").route == "dense"
    if depth > 1:
        assert problem.loss(DeepLinear(depth), "entries").route == "entries"


def test_a_sparse_problem_goes_by_entries():
    problem = Completion.from_triples([0], [0], [1.0], shape=(2000, 3000))
    assert problem.loss(DeepLinear(2, widths=(5,))).route == "entries"
    assert problem.loss(DeepLinear(1)).route == "dense"
