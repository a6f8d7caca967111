"""The closed flow of the end-to-end matrix, for any real depth."""

from typing import TYPE_CHECKING, Any

import equinox as eqx

from factorflow._errors import InputError
from factorflow.dynamics._abstract import AbstractDynamics
from factorflow.dynamics._gradient_flow import GradientFlow
from factorflow.dynamics._moving_frame import MovingFrameFlow
from factorflow.dynamics._preconditioned import PreconditionedLoss, layer_gradient_norm
from factorflow.dynamics._rkc import RKC
from factorflow.dynamics._stepper import AbstractStepper
from factorflow.factorizations import DeepLinear, LogSVD, checked_real_depth

if TYPE_CHECKING:
    import diffrax


class EndToEndFlow(AbstractDynamics):
    """Flow of the product of a balanced network of any depth, without its layers.

        dW/dt = -sum_j [W W^T]^((N-j)/N) G [W^T W]^((j-1)/N)

    in the singular vectors of `W`, where entry (r, s) of ``U^T G V`` is multiplied by
    ``(sigma_r^2 - sigma_s^2) / (sigma_r^(2/N) - sigma_s^(2/N))``. Written so, the depth `N` may be
    any real number of 1 or more, and a step costs the same at each.

    Parameters
    ----------
    depth
        `N`; ``math.inf`` is the limit of infinite depth in the time ``N t``.
    solver, rtol, atol
        As in :class:`GradientFlow`. In the form of :class:`LogSVD` the tolerance is relative to
        each singular value and ``atol`` is not used.
    skip_plateaus
        In the form of :class:`LogSVD`: take steps of the closed-form escape while the small modes
        are too small to change the gradient and the others stand still. The error that is made is
        held at ``rtol``.

    Notes
    -----
    The matrix may be written in two ways. As ``DeepLinear(1)``, one singular value decomposition
    for each gradient, for depths of 1 and more; a start of low rank keeps it to the tolerance only,
    and what the steps leave of the other modes grows as they do. As ``LogSVD()``, for depths of 2
    and more, on the CPU: the flow then is ``dW/dt = A W + W B`` with bounded `A` and `B`, every
    step multiplies the matrix from both sides, and so keeps the rank and the sign of the
    determinant exactly, at singular values of any size. A start of scale 1e-100 takes about as
    long as one of 1e-4.

    Between depths 1 and 2 a singular value of zero may leave it at any time, so that the flow from
    a matrix of deficient rank is not unique. At infinite depth the row and the column space of a
    matrix cannot turn: a rectangular one fits what its own spaces hold.

    ``gradient_norm`` is that of the gradient by the layers, ``sqrt(<G, -dW/dt>)``, to the rounding
    of `W`.

    Source: Arora, Cohen and Hazan 2018 (arXiv:1802.06509), Theorem 1, for whole depths. Real
    depth, the form ``A W + W B`` and the closed-form steps are ours.

    Raises
    ------
    InputError
        If the depth is no real number of 1 or more, the tolerance or the solver is none, or the
        factorization is another one.
    """

    depth: float = eqx.field(converter=checked_real_depth)
    solver: "AbstractStepper | diffrax.AbstractSolver" = RKC()
    rtol: float = 1e-3
    atol: float | None = None
    skip_plateaus: bool = True

    def __check_init__(self):
        GradientFlow(self.solver, self.rtol, self.atol)  # refuses what it cannot use

    @property
    def counts_gradients(self) -> bool:
        return GradientFlow(self.solver).counts_gradients

    def check(self, factorization):
        if isinstance(factorization, LogSVD):
            if self.depth < 2:
                raise InputError(
                    f"At depth {self.depth:g} singular values reach zero, so their logarithms "
                    "do not last; below depth 2 write DeepLinear(1) instead of LogSVD()."
                )
        elif not isinstance(factorization, DeepLinear) or factorization.depth > 1:
            raise InputError(
                "EndToEndFlow moves the end-to-end matrix itself, not layers: write DeepLinear(1) "
                f"or LogSVD() and keep the depth in EndToEndFlow; got {factorization}."
            )

    def init(self, loss, factors, interpolates):
        flow, loss = self._form(loss)
        return flow.init(loss, factors, interpolates)

    def step(self, loss, state, end):
        flow, loss = self._form(loss)
        return flow.step(loss, state, end)

    def at(self, loss, state, time):
        flow, loss = self._form(loss)
        return flow.at(loss, state, time)

    def _form(self, loss) -> tuple[AbstractDynamics, Any]:
        if isinstance(loss.factorization, LogSVD):
            parts = self.depth, self.solver, self.rtol, self.skip_plateaus
            return MovingFrameFlow(*parts), loss
        return _MatrixFlow(self.solver, self.rtol, self.atol), PreconditionedLoss(loss, self.depth)


class _MatrixFlow(GradientFlow):
    """Gradient flow along a preconditioned gradient."""

    def _norm_of(self, loss, factors, slope):
        return layer_gradient_norm(factors[0], slope[0], loss.depth)
