"""The squared error by the whole matrix and its gradient, with products by BLAS."""

from functools import partial

import jax

from factorflow.problems._products import product, squared_error


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def value_and_gradient(company: str, loss, factors):
    """Value and gradient of a loss of the form ``DenseLoss`` by the factors of a deep network."""
    return _by_products(company, loss, factors)


# A run's program has it in half a dozen places: it is traced for the first alone.
@partial(jax.jit, static_argnums=0, inline=True)
def _by_products(company, loss, factors):
    def value(factors):
        left, right = loss.factorization.halves_by(product(company), factors)
        return squared_error(company)(left, right, loss.values, loss.observed, loss.count)

    return jax.value_and_grad(value)(factors)


@value_and_gradient.defjvp
def _jvp(company, primals, tangents):
    # Second derivatives are rare; XLA's own products have them all.
    def plain(loss, factors):
        return jax.value_and_grad(loss.value)(factors)

    return value_and_gradient(company, *primals), jax.jvp(plain, primals, tangents)[1]
