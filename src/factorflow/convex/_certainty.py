"""How a convex solver ended, as a value with a sentence."""

import enum


class Certainty(enum.Enum):
    """How a convex solver ended; ``status.sentence`` says it in words."""

    CERTIFIED = "The duality gap is within the tolerance."
    ITERATION_LIMIT = "The iterations were spent before the duality gap reached the tolerance."
    RANK_LIMIT = "The rank is held down by max_rank; the gap is that to the minimum without it."
    INTERRUPTED = "The solver was interrupted; this is what it had come to."

    @property
    def sentence(self) -> str:
        return self.value

    @property
    def successful(self) -> bool:
        """Whether the answer meets the tolerance that was asked for."""
        return self is Certainty.CERTIFIED
