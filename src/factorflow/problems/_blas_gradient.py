"""The loss by the whole matrix and its gradient, with products of middling size by BLAS."""

import jax

from factorflow.problems._products import product


@jax.custom_jvp
def value_and_gradient(loss, factors):
    """Value and gradient of ``loss.value(factors, product)`` by the factors."""
    return jax.value_and_grad(lambda factors: loss.value(factors, product))(factors)


@value_and_gradient.defjvp
def _jvp(primals, tangents):
    # Second derivatives are rare; XLA's own products have them all.
    def plain(loss, factors):
        return jax.value_and_grad(loss.value)(factors)

    return value_and_gradient(*primals), jax.jvp(plain, primals, tangents)[1]
