"""Results as arrays with named dimensions."""

import numpy as np

from factorflow.experiments._recovery import FlowCase, NuclearNormCase
from factorflow.experiments._tabulate import of_kind, tabulate

RESULTS = {
    FlowCase(20, i, depth=depth): {"error": 10 * depth + i}
    for depth in (3, 2)
    for i in (1, 0)
    if (depth, i) != (2, 0)
}
AXES = {"depth": lambda case: case.depth, "instance": lambda case: case.instance}


def test_each_number_stands_at_its_coordinates_whatever_the_order():
    table = tabulate(RESULTS, ["error"], **AXES)
    for case, result in RESULTS.items():
        assert table.error.sel(depth=case.depth, instance=case.instance) == result["error"]


def test_what_was_not_run_is_missing():
    table = tabulate(RESULTS, ["error"], **AXES)
    assert np.isnan(table.error.sel(depth=2, instance=0))
    assert int(table.error.notnull().sum()) == len(RESULTS)


def test_cases_are_chosen_by_class_and_fields():
    mixed = {**RESULTS, NuclearNormCase(20): {"error": 0.0}}
    assert of_kind(mixed, NuclearNormCase).keys() == {NuclearNormCase(20)}
    assert all(case.depth == 3 for case in of_kind(mixed, FlowCase, depth=3))
    assert len(of_kind(mixed, FlowCase, depth=3)) == 2
