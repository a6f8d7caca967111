"""The cases, in the order in which they are run and told."""

from importlib import import_module

from benchmarks._case import Case

NAMES = (
    "trajectory",
    "work_precision",
    "roof",
    "batches",
    "growth",
    "end_to_end",
    "tensor_routes",
    "sensing",
    "nuclear_norm",
    "real_completion",
    "images",
    "start_up",
)


def case(name: str) -> Case:
    """The case of that name; only then is its file imported."""
    return import_module(f"benchmarks.{name}").CASE
