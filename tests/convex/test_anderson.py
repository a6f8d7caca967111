"""Anderson acceleration on maps whose fixed point is known."""

import numpy as np
import pytest

from factorflow.convex._anderson import Anderson


@pytest.mark.parametrize("size", [2, 5])
def test_linear_map_is_solved_in_as_many_steps_as_it_has_dimensions(size):
    rng = np.random.default_rng(size)
    matrix = 0.9 * np.linalg.qr(rng.normal(size=(size, size)))[0]
    fixed = rng.normal(size=size)
    anderson, point = Anderson(memory=size), np.zeros(size)
    for _ in range(size + 2):
        step = fixed + matrix @ (point - fixed) - point
        point = anderson.next_point(step, point + step)
    assert np.linalg.norm(point - fixed) <= 1e-4 * np.linalg.norm(fixed)


def test_first_step_and_the_one_after_clearing_are_plain():
    anderson = Anderson(memory=3)
    plain = np.array([1.0, 2.0])
    assert np.array_equal(anderson.next_point(np.ones(2), plain), plain)
    anderson.next_point(np.array([0.5, 0.1]), plain + 1)
    anderson.clear()
    assert np.array_equal(anderson.next_point(np.ones(2), plain), plain)
