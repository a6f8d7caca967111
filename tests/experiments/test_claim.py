"""Claims, cases, checks and verdicts as values."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_claims import Draw, toy

from factorflow._errors import InputError
from factorflow.experiments import (
    AbstractCase,
    Check,
    Finding,
    Measured,
    Results,
    claims,
    verdict,
)

# ------------------------------------------------------------------------------------ measured


def test_median_and_quartiles():
    measured = Measured.of("error", [5.0, 1.0, np.float64(2), 4, 3.0], np.arange(5))
    assert (measured.low, measured.median, measured.high) == (2, 3, 4)
    assert measured.seeds == (0, 1, 2, 3, 4)
    assert measured.values == (5, 1, 2, 4, 3)


def test_a_value_that_is_none_is_not_lost():
    measured = Measured.of("error", [1.0, np.nan, 2.0], range(3))
    assert np.isnan([measured.median, measured.low, measured.high]).all()


def test_exact():
    measured = Measured.exact("trace", 2)
    assert (measured.low, measured.median, measured.high, measured.seeds) == (2, 2, 2, ())


@pytest.mark.parametrize(("values", "seeds"), [([], []), ([1.0, 2.0], [0])])
def test_a_value_for_each_seed(values, seeds):
    with pytest.raises(InputError, match="one value for each seed"):
        Measured.of("error", values, seeds)


# -------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("left", "relation", "right", "holds"),
    [
        (1, "<", 1, False),
        (1, "<=", 1, True),
        (np.float64(2), ">", 1, True),
        (1, ">", 1, False),
        (1, ">=", np.array(1.0), True),
        (1, "within", (1, 2), True),
        (2, "within", [1, 2], True),
        (2.1, "within", (1, 2), False),
        (np.inf, ">", 1, True),
    ],
)
def test_relations(left, relation, right, holds):
    check = Check("it does", left, relation, right)
    assert check.holds is holds
    assert type(check.left) is float


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">="])
@given(number=st.floats())
def test_nan_never_holds(relation, number):
    assert not Check("a", np.nan, relation, number).holds
    assert not Check("a", number, relation, np.nan).holds
    assert not Check("a", np.nan, "within", (number, np.inf)).holds
    assert not Check("a", number, "within", (np.nan, np.inf)).holds


def test_figures_of_a_check():
    assert Check("a", 0.0123456, "<", 0.05).figures == "0.01235 < 0.05"
    assert Check("a", 1, "within", (0, 2)).figures == "1 within 0 to 2"


@pytest.mark.parametrize(
    ("left", "relation", "right"),
    [(1, "==", 1), (1, "within", 2), (1, "within", (1, 2, 3)), (1, "<", (1, 2)), ("1", "<", 2)],
)
def test_checks_that_compare_nothing(left, relation, right):
    with pytest.raises(InputError, match="'a'"):
        Check("a", left, relation, right)


# ------------------------------------------------------------------------------------ verdicts

HOLDS = Check("holds", 0, "<", 1)
LESSER, GREATER = Check("lesser", 1, "<", 0, essential=False), Check("greater", 1, "<", 0)


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ([HOLDS], "reproduced"),
        ([HOLDS, LESSER], "differs: lesser"),
        ([LESSER, HOLDS, GREATER], "not reproduced: greater; lesser"),
        ([GREATER], "not reproduced: greater"),
    ],
)
def test_verdicts(checks, sentence):
    assert verdict(checks) == sentence


def test_a_finding_that_could_not_fail():
    with pytest.raises(InputError, match="at least one check"):
        Finding()


# --------------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Other(AbstractCase):
    kind: ClassVar[str] = "other"
    revision: ClassVar[int] = 1
    seed: int
    scale: float = 1.0

    @classmethod
    def run_many(cls, cases, finished, progress): ...


class Revised(Draw):
    revision: ClassVar[int] = 2


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)


@given(numbers, numbers)
def test_equal_cases_and_no_others_have_equal_keys(a, b):
    assert (Draw(0, a).key == Draw(0, b).key) == (a == b)


def test_what_a_key_depends_on():
    case = Draw(3, 0.1)
    same = [Draw(np.int64(3), np.float64(0.1)), Draw(3, 0.1, where="elsewhere")]
    assert {each.key for each in same} == {case.key}
    others = [Draw(3), Draw(4, 0.1), Other(3, 0.1), Revised(3, 0.1), Draw("3", 0.1)]
    assert len({case.key, *(each.key for each in others)}) == 6
    assert len(case.key) == 64


@pytest.mark.parametrize("name", ["kind", "revision"])
def test_a_class_without_a_name_or_a_number(name):
    settings = {"kind": "bare", "revision": 1, "run_many": classmethod(lambda *_: None)}
    del settings[name]
    bare = type("Bare", (AbstractCase,), settings)
    with pytest.raises(InputError, match=f"Bare has no {name}; write {name}: ClassVar"):
        bare().key  # noqa: B018


def test_tuples_in_a_case():
    assert Draw((1, (2, None))).key == Draw([1.0, [2, None]]).key


@pytest.mark.parametrize("value", [np.nan, np.inf, {"a": 1}, object()])
def test_fields_without_a_place_in_a_key(value):
    with pytest.raises(InputError, match="'scale'"):
        Draw(0, value).key  # noqa: B018


def test_a_case_is_a_group_by_itself_unless_it_says_otherwise():
    assert Other(1).group != Other(2).group
    assert Draw(1).group == Draw(2).group


def test_results_are_found_by_equal_cases():
    results = Results([(Draw(2), {"a": 1}), (Draw(1), {"a": 2})])
    assert results[Draw(2, 1)] == {"a": 1}
    assert [case.seed for case in results] == [2, 1]
    assert len(results) == 2
    with pytest.raises(KeyError, match="seed=3"):
        results[Draw(3)]


# -------------------------------------------------------------------------------------- claims


def test_sizes():
    claim = toy()
    assert claim.size().seeds == 3
    assert claim.size(full=True).seeds == 6
    assert claim.size(seeds=2, full=True).seeds == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "Toy/1"}, "id"),
        ({"id": ""}, "id"),
        ({"cost": "cheap"}, "cost"),
        ({"seeds": 0}, "seed"),
    ],
)
def test_claims_that_are_none(changes, said):
    with pytest.raises(InputError, match=said):
        replace(toy(), **changes)


def test_the_claims_of_the_house():
    ids = [claim.id for claim in claims()]
    assert len(set(ids)) == len(ids) > 0
    for claim in claims():
        assert claim.statement.endswith(".")
        assert claim.source


def test_a_kind_of_case_belongs_to_one_class():
    """Else the runs of one would be taken for those of the other."""
    classes = {}
    for claim in claims():
        if claim.needs is None:
            for case in claim.cases(claim.size(full=True)):
                assert classes.setdefault(case.kind, type(case)) is type(case)
