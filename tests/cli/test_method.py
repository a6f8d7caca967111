"""The options of the method."""

import pytest

from factorflow._errors import InputError
from factorflow.cli._deep_method import DeepMethod
from factorflow.cli._greedy_method import GreedyMethod
from factorflow.cli._method import Options, check_fraction, parse_widths
from factorflow.cli._nuclear_norm_method import NuclearNormMethod
from factorflow.cli._soft_impute_method import SoftImputeMethod


@pytest.mark.parametrize(
    ("kind", "depth", "biases"),
    [
        ("long table", 2, "rows+columns"),
        ("wide table", 2, "rows+columns"),
        ("array", 3, "none"),
        ("image", 2, "global"),
    ],
)
def test_defaults_by_kind(kind, depth, biases):
    assert Options().on(kind) == DeepMethod(depth, 1e-3, "auto", biases, "validation", 0)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("greedy", GreedyMethod),
        ("soft-impute", SoftImputeMethod),
        ("nuclear-norm", NuclearNormMethod),
    ],
)
def test_other_methods_have_the_same_biases(name, method):
    for kind in ("long table", "array", "image"):
        assert Options(method=name).on(kind) == method(Options().on(kind).biases, 0)
    given = Options(biases="none", seed=3, method=name)
    given.check()
    assert given.on("image") == method("none", 3)
    assert given.on("image").name == name


@pytest.mark.parametrize("name", ["greedy", "soft-impute", "nuclear-norm"])
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"depth": 2}, "--depth belongs to"),
        ({"scale": 1e-3}, "--scale belongs to"),
        ({"widths": "auto"}, "--widths belongs to"),
        ({"depth": 0, "stop": "validation"}, "--depth and --stop belong to"),
        (
            {"depth": 2, "scale": 0.1, "widths": (3,), "stop": "interpolate"},
            "--depth, --scale, --widths and --stop belong to",
        ),
    ],
)
def test_options_of_the_deep_method_are_refused(name, given, named):
    with pytest.raises(InputError, match=named) as caught:
        Options(method=name, **given).check()
    assert f"--method {name}" in str(caught.value)


def test_what_is_given_is_kept():
    given = Options(4, 0.1, (3, 4, 5), "global", "interpolate", 7)
    assert given.on("array") == DeepMethod(4, 0.1, (3, 4, 5), "global", "interpolate", 7)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (Options(depth=0), "--depth"),
        (Options(depth=-3), "--depth"),
        (Options(scale=0.0), "--scale"),
        (Options(scale=-1.0), "--scale"),
        (Options(scale=float("nan")), "--scale"),
        (Options(scale=float("inf")), "--scale"),
        (Options(seed=-1), "--seed"),
    ],
)
def test_out_of_range(options, named):
    with pytest.raises(InputError, match=named):
        options.check()


@pytest.mark.parametrize(("depth", "widths"), [(2, (3, 4)), (3, (5,)), (1, (2,))])
def test_widths_are_one_fewer_than_the_depth(depth, widths):
    with pytest.raises(InputError, match=f"depth {depth} has {depth - 1}"):
        Options(depth=depth, widths=widths).on("array")


def test_widths_are_read():
    assert parse_widths("auto") == "auto"
    assert parse_widths("3") == (3,)
    assert parse_widths("8, 5") == (8, 5)


@pytest.mark.parametrize("text", ["", "a", "3,", "0", "4,-1", "2.5"])
def test_widths_that_are_none(text):
    with pytest.raises(InputError, match="--widths takes auto"):
        parse_widths(text)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_test_fractions_out_of_range(fraction):
    with pytest.raises(InputError, match="--test-fraction"):
        check_fraction(fraction, None)


def test_hidden_pixels_are_the_test():
    check_fraction(None, 0.5)
    check_fraction(0, None)
    with pytest.raises(InputError, match="leave out --test-fraction"):
        check_fraction(0.1, 0.5)
