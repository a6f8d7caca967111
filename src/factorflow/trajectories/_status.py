"""How a run ended, as a value with a sentence."""

import enum


class Status(enum.Enum):
    """How a run ended; ``status.sentence`` says it in words.

    ``successful`` is True where the run met one of the stops that describe an answer (train error,
    stationarity, time, held-out error); it is False at a limit that cut the run short and at a
    failure. ``failed`` is True where the numbers cannot be used.
    """

    RUNNING = (0, "The run has not ended.", False)
    TRAIN_ERROR = (1, "The train error reached its target.", True)
    STATIONARY = (2, "The norm of the gradient reached its target.", True)
    TIME = (3, "The run reached its end time.", True)
    HELD_OUT = (4, "The error on held-out entries stopped improving.", True)
    GRADIENT_LIMIT = (5, "The run spent its gradients before it met another stop.", False)
    INTERRUPTED = (6, "The run was interrupted; this is where it had come to.", False)
    DIVERGED = (
        7,
        "The run diverged: the loss or its gradient is no longer finite.",
        False,
    )
    CERTIFIED = (9, "The certificate is met: no further rank could improve this point.", True)
    RANK_LIMIT = (
        10,
        "The rank reached its limit, and more could improve this point.",
        False,
    )
    STALLED = (8, "The run stalled: the step size fell to nothing short of the tolerance.", False)

    def __init__(self, code: int, sentence: str, successful: bool):
        self.code = code
        self.sentence = sentence
        self.successful = successful

    @property
    def failed(self) -> bool:
        """Whether the numbers cannot be used: the run diverged or stalled."""
        return self in (Status.DIVERGED, Status.STALLED)

    @classmethod
    def of(cls, code: int) -> "Status":
        """The status with the given code."""
        return next(status for status in cls if status.code == int(code))

    def __repr__(self) -> str:
        return f"<Status.{self.name}: {self.sentence}>"
