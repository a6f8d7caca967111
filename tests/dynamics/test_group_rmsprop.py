"""group_rmsprop as an Optax transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factorflow import InputError, group_rmsprop
from factorflow._x64 import double_precision


def gradients_of(rng, n):
    return [{"a": rng.normal(size=(3, 2)), "b": [rng.normal(size=4)]} for _ in range(n)]


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@settings(max_examples=15)
@given(
    learning_rate=st.floats(1e-4, 10),
    decay=st.floats(0.0, 0.999),
    eps=st.floats(1e-10, 1e-2),
    seed=st.integers(0, 999),
)
def test_an_update_is_the_formula(learning_rate, decay, eps, seed):
    gradients = gradients_of(np.random.default_rng(seed), 4)
    transformation, v = group_rmsprop(learning_rate, decay, eps), 0.0
    with double_precision():
        state = transformation.init(gradients[0])
        for t, gradient in enumerate(gradients, 1):
            updates, state = transformation.update(gradient, state)
            g = flat(gradient)
            v = decay * v + (1 - decay) * g @ g
            expected = -learning_rate / (np.sqrt(v / (1 - decay**t)) + eps) * g
            np.testing.assert_allclose(flat(updates), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_first_step_has_the_length_of_the_learning_rate(scale):
    gradient = jax.tree.map(lambda g: scale * g, gradients_of(np.random.default_rng(0), 1)[0])
    transformation = group_rmsprop(0.3)
    with double_precision():
        updates, _ = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(np.linalg.norm(flat(updates)), 0.3, rtol=1e-2)
    cosine = flat(updates) @ flat(gradient) / (0.3 * np.linalg.norm(flat(gradient)))
    np.testing.assert_allclose(cosine, -1, rtol=1e-2)


def test_it_chains_with_other_transformations():
    chained = optax.chain(group_rmsprop(0.3), optax.scale(2.0))
    gradient = gradients_of(np.random.default_rng(0), 1)[0]
    with double_precision():
        updates, _ = chained.update(gradient, chained.init(gradient))
        alone, _ = group_rmsprop(0.3).update(gradient, group_rmsprop(0.3).init(gradient))
        np.testing.assert_allclose(flat(updates), 2 * flat(alone), rtol=1e-12)
        assert all(jnp.asarray(leaf).dtype == jnp.float64 for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize("setting", [(-1.0, 0.99, 1e-6), (0.1, 1.0, 1e-6), (0.1, 0.9, 0.0)])
def test_a_setting_that_cannot_be(setting):
    with pytest.raises(InputError, match="group_rmsprop needs"):
        group_rmsprop(*setting)
