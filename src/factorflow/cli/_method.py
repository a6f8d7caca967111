"""How the command line completes: the options of the method, their checks and defaults."""

import math
from dataclasses import dataclass
from typing import Literal

from factorflow._errors import InputError

Biases = Literal["none", "global", "rows+columns"]
Stop = Literal["validation", "interpolate"]
Widths = Literal["auto"] | tuple[int, ...]

DEPTHS = {"long table": 2, "wide table": 2, "array": 3, "image": 2}
BIASES: dict[str, Biases] = {
    "long table": "rows+columns",
    "wide table": "rows+columns",
    "array": "none",
    "image": "global",
}


@dataclass(frozen=True)
class Method:
    """What a fit does; the fields are those of the estimator, ``seed`` is its random state."""

    depth: int
    scale: float
    widths: Widths
    biases: Biases
    stop: Stop
    seed: int

    @property
    def told(self) -> str:
        """The method in words, short."""
        return f"depth {self.depth}, scale {self.scale:g}, biases {self.biases}, stop {self.stop}"


@dataclass(frozen=True)
class Options:
    """What the user said of the method; None for depth and biases is the input's default."""

    depth: int | None = None
    scale: float = 1e-3
    widths: Widths = "auto"
    biases: Biases | None = None
    stop: Stop = "validation"
    seed: int = 0

    def check(self) -> None:
        """Refuse what no fit could use, before anything is read or compiled.

        Raises
        ------
        InputError
            If a value is out of its range.
        """
        if self.depth is not None and self.depth < 1:
            raise InputError(f"--depth is a number of factors, 1 or more; got {self.depth}.")
        if not 0 < self.scale < math.inf:
            raise InputError(f"--scale must be a positive finite number; got {self.scale:g}.")
        check_seed(self.seed)

    def on(self, kind: str) -> Method:
        """The method for a kind of input.

        Raises
        ------
        InputError
            If the widths are not one fewer than the depth.
        """
        depth = DEPTHS[kind] if self.depth is None else self.depth
        if self.widths != "auto" and len(self.widths) != depth - 1:
            raise InputError(
                f"--widths gives {len(self.widths)} hidden widths, but depth {depth} has "
                f"{depth - 1}; give {depth - 1 or 'none'}, or auto."
            )
        biases = BIASES[kind] if self.biases is None else self.biases
        return Method(depth, self.scale, self.widths, biases, self.stop, self.seed)


def check_seed(seed: int) -> None:
    """Refuse a seed below zero.

    Raises
    ------
    InputError
        If it is one.
    """
    if seed < 0:
        raise InputError(f"--seed is a whole number, 0 or more; got {seed}.")


def parse_widths(text: str) -> Widths:
    """``"auto"``, or whole numbers separated by commas.

    Raises
    ------
    InputError
        If it is neither.
    """
    if text == "auto":
        return "auto"
    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1:
        raise InputError(
            f"--widths takes auto, or positive whole numbers separated by commas; got {text!r}."
        )
    return widths


def check_fraction(fraction: float | None, hide: float | None) -> None:
    """Refuse a share of test entries that cannot be held out.

    Raises
    ------
    InputError
        If the share is out of range, or pixels are hidden as well.
    """
    if fraction is not None and not 0 <= fraction < 1:
        raise InputError(
            f"--test-fraction is a share of the observed entries from 0 (no test) to below 1; "
            f"got {fraction:g}."
        )
    if fraction is not None and hide is not None:
        raise InputError(
            "With --hide the hidden pixels are the test entries: leave out --test-fraction."
        )
