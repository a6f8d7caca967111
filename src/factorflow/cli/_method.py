"""How the command line completes: the options of the methods, their checks and defaults."""

import math
from dataclasses import dataclass
from typing import Literal

from factorflow._errors import InputError
from factorflow.cli._abstract_method import AbstractMethod, Biases
from factorflow.cli._deep_method import DeepMethod, Stop, Widths
from factorflow.cli._greedy_method import GreedyMethod
from factorflow.cli._nuclear_norm_method import NuclearNormMethod
from factorflow.cli._soft_impute_method import SoftImputeMethod
from factorflow.cli._tensor_method import Components, FactorizationName, TensorMethod

MethodName = Literal["deep", "tensor", "greedy", "soft-impute", "nuclear-norm"]

OWNERS: dict[str, tuple[MethodName, ...]] = {
    "depth": ("deep",),
    "scale": ("deep", "tensor"),
    "widths": ("deep",),
    "stop": ("deep", "tensor"),
    "factorization": ("tensor",),
    "components": ("tensor",),
}
"""The options that only some methods have, and which."""

DEPTHS = {"long table": 2, "wide table": 2, "array": 3, "image": 2}
BIASES: dict[str, Biases] = {
    "long table": "rows+columns",
    "wide table": "rows+columns",
    "array": "none",
    "image": "global",
}
"""What is taken off first; of a tensor the effects of all axes take the place of two."""
SCALE = 1e-3


@dataclass(frozen=True)
class Options:
    """What the user said of the method; None is the default, some of them by the input."""

    depth: int | None = None
    scale: float | None = None
    widths: Widths | None = None
    biases: Biases | None = None
    stop: Stop | None = None
    seed: int = 0
    method: MethodName = "deep"
    factorization: FactorizationName | None = None
    components: Components | None = None

    def check(self) -> None:
        """Refuse what no fit could use, before anything is read or compiled.

        Raises
        ------
        InputError
            If a value is out of its range, or belongs to another method.
        """
        self._check_strange()
        if self.depth is not None and self.depth < 1:
            raise InputError(f"--depth is a number of factors, 1 or more; got {self.depth}.")
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise InputError(f"--scale must be a positive finite number; got {self.scale:g}.")
        check_seed(self.seed)
        wrong = "rows+columns" if self.method == "tensor" else "axes"
        if self.biases == wrong:
            mend = "axes" if wrong == "rows+columns" else "rows+columns"
            raise InputError(
                f"--biases {wrong} does not go with --method {self.method}; give {mend}."
            )

    @property
    def takes_tensors(self) -> bool:
        """Whether the method completes arrays of any order, a colour picture as it is."""
        return self.method == "tensor"

    def on(self, kind: str) -> AbstractMethod:
        """The method for a kind of input.

        Raises
        ------
        InputError
            If the widths are not one fewer than the depth.
        """
        biases = BIASES[kind] if self.biases is None else self.biases
        if self.method == "tensor":
            return self._tensor("axes" if biases == "rows+columns" else biases)
        if self.method == "greedy":
            return GreedyMethod(biases, self.seed)
        if self.method == "soft-impute":
            return SoftImputeMethod(biases, self.seed)
        if self.method == "nuclear-norm":
            return NuclearNormMethod(biases, self.seed)
        return self._deep(DEPTHS[kind] if self.depth is None else self.depth, biases)

    def _deep(self, depth: int, biases: Biases) -> DeepMethod:
        widths = "auto" if self.widths is None else self.widths
        if widths != "auto" and len(widths) != depth - 1:
            raise InputError(
                f"--widths gives {len(widths)} hidden widths, but depth {depth} has "
                f"{depth - 1}; give {depth - 1 or 'none'}, or auto."
            )
        scale = SCALE if self.scale is None else self.scale
        return DeepMethod(depth, scale, widths, biases, self.stop or "validation", self.seed)

    def _tensor(self, biases: Biases) -> TensorMethod:
        name, scale = self.factorization or "cp", self.scale or SCALE
        if name == "cp" and isinstance(self.components, tuple):
            raise InputError(
                "--components takes one number with --factorization cp; several are for the levels "
                "of hierarchical."
            )
        return TensorMethod(
            name, self.components, scale, biases, self.stop or "validation", self.seed
        )

    def _check_strange(self) -> None:
        given = [name for name in OWNERS if getattr(self, name) is not None]
        strange = [name for name in given if self.method not in OWNERS[name]]
        if strange:
            # Those that share an owner with the first are named together.
            owners = OWNERS[strange[0]]
            alike = [name for name in strange if set(OWNERS[name]) & set(owners)]
            owners = [each for each in owners if all(each in OWNERS[name] for name in alike)]
            verb, them = ("belongs", "it") if len(alike) == 1 else ("belong", "them")
            raise InputError(
                f"{_listed([f'--{name}' for name in alike])} {verb} to --method "
                f"{' or '.join(owners)}; leave {them} out with --method {self.method}."
            )


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


def parse_components(text: str) -> Components:
    """A whole number, or one for each level of the tree separated by commas.

    Raises
    ------
    InputError
        If it is neither.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1:
        raise InputError(
            f"--components takes positive whole numbers separated by commas; got {text!r}."
        )
    return numbers[0] if len(numbers) == 1 else numbers


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


def _listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
