"""Singular value decomposition of ``P diag(exp s) Q^T`` to full relative accuracy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from factorflow._host_call import register

_NAME = "factorflow_orthogonalize"


def graded_svd(left, log_values, right):
    """``(U, s, V)`` with ``U diag(exp s) V^T = P diag(exp s_0) Q^T`` and ``s`` descending.

    Every singular value is as accurate as the conditioning of `P` and `Q` allows, whatever the
    range of the scales: LAPACK would lose those below rounding times the largest. The columns of
    `U` and `V` are orthonormal, and the sign of ``det U det V`` is that of ``det P det Q``.

    Parameters
    ----------
    left, log_values, right
        `P`, ``(m, k)``; ``s_0``, ``(k,)``; `Q`, ``(n, k)``, with `k` at most `m` and `n`.

    Notes
    -----
    With ``P = Q_1 R_1``, ``Q = Q_2 R_2`` and scales in descending order, ``diag(exp s_0)`` is moved
    to the left of ``R_1``, which leaves a well-conditioned matrix behind it; one-sided Jacobi
    rotations finish (Demmel et al. 1999, "Computing the singular value decomposition with high
    relative accuracy", Algorithm 3.1).
    """
    order = jnp.argsort(-log_values)
    scales = log_values[order]
    q1, r1 = jnp.linalg.qr(left[:, order])
    q2, r2 = jnp.linalg.qr(right[:, order])
    moved = r1 * jnp.exp(jnp.minimum(scales[None, :] - scales[:, None], 0.0))
    rows, logs, turned = _orthogonalized(moved @ r2.T, scales)
    order = jnp.argsort(-logs)
    return q1 @ turned[order].T, logs[order], q2 @ rows[order].T


def _orthogonalized(rows, logs):
    _registered()
    shapes = [jax.ShapeDtypeStruct(each, np.float64) for each in (rows.shape, logs.shape)]
    call = jax.ffi.ffi_call(_NAME, (*shapes, shapes[0]), vmap_method="broadcast_all")
    return call(rows, logs)


@functools.cache
def _registered() -> None:
    register(_NAME, _on_host)


def _on_host(inputs, outputs):
    from factorflow.factorizations._jacobi import orthogonalize

    given_rows, given_logs = inputs
    rows, logs, turned = outputs
    rows[...], logs[...], turned[...] = given_rows, given_logs, np.eye(given_logs.shape[-1])
    k = given_logs.shape[-1]
    for each in zip(rows.reshape(-1, k, k), logs.reshape(-1, k), turned.reshape(-1, k, k),
                    strict=True):  # fmt: skip
        orthogonalize(*each)
