"""The errors and warnings that users meet."""


class InputError(ValueError):
    """An input that cannot be used; the message names it, what was expected and the mend."""


class FactorflowWarning(UserWarning):
    """Something that a user should know about a result that is still usable."""


class FlowError(RuntimeError):
    """A run failed (diverged or stalled); raised by ``solve(..., throw=True)``."""
