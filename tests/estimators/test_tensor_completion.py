"""The estimator of tensors: what the estimators of matrices promise, at order 3 and 2."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from factorflow import (
    Completion,
    DeepMatrixCompletion,
    FactorflowWarning,
    GradientDescent,
    GreedyLowRankCompletion,
    InputError,
    NuclearNormCompletion,
    SoftImpute,
    TensorCompletion,
)
from factorflow.estimators import fibre_axes, fit_axis_effects, rmse, split_fibres
from factorflow.estimators._tensor_completion import _levels
from factorflow.initializers import AbstractInitializer, Balanced
from factorflow.trajectories import Status

SHAPE = (8, 7, 6)  # one shape for all, so that little is compiled


def _data():
    rng = np.random.default_rng(0)
    truth = np.einsum("ir,jr,kr->ijk", *(rng.normal(size=(size, 2)) for size in SHAPE))
    observed = np.ones(truth.size, bool)
    observed[rng.permutation(truth.size)[:100]] = False
    observed = observed.reshape(SHAPE)
    return truth, np.where(observed, truth, np.nan), observed


TRUTH, X, OBSERVED = _data()
EXACT = TensorCompletion(stop="interpolate")
# Descent is compiled sooner than a flow.
TREE = {"scale": 0.1, "stop": "interpolate", "tol": 1e-4, "dynamics": GradientDescent(2.0)}
MODELS = {
    "exact": EXACT,
    "validation": TensorCompletion(),
    "hierarchical": TensorCompletion("hierarchical", **TREE),
}
UNITS = {"exact": 1.0, "validation": 1.0, "hierarchical": 50.0}
FITTED = {}


def fitted(name="exact"):
    """One fit of each kind for all tests; not to be changed."""
    if name not in FITTED:
        FITTED[name] = clone(MODELS[name]).fit(UNITS[name] * X)
    return FITTED[name]


def relative_error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def masked(data):
    poison = np.where(np.isnan(data), np.resize([np.inf, 1e300, np.nan], data.shape), data)
    return np.ma.MaskedArray(poison, mask=np.isnan(data))


def shuffled(data):
    order = np.random.default_rng(1).permutation(int(OBSERVED.sum()))
    cells = np.argwhere(OBSERVED)[order]
    return Completion.from_tuples(cells, data[tuple(cells.T)], SHAPE)


FORMS = {
    "lists": lambda data: data.tolist(),
    "objects": lambda data: np.where(np.isnan(data), None, data),
    "Fortran order": np.asfortranarray,
    "masked": masked,
    "completion": Completion.of,
    "cells in another order": shuffled,
}


# ------------------------------------------------------------------------------ what it finds


@pytest.mark.parametrize("name", ["exact", "validation", "hierarchical"])
def test_a_tensor_of_few_components_is_recovered(name):
    assert relative_error(fitted(name).reconstruct(), UNITS[name] * TRUTH) < 5e-2


def test_it_meets_the_observed_entries_to_the_tolerance():
    left_over = X[OBSERVED] - fitted().effects_.mean
    errors = (X - fitted().reconstruct())[OBSERVED]
    assert np.mean(errors**2) <= 1e-6 * np.mean(left_over**2) * (1 + 1e-9)
    assert fitted().status_ is Status.TRAIN_ERROR
    assert fitted().score(X) == pytest.approx(-np.sqrt(np.mean(errors**2)))


def test_observed_entries_come_back_and_missing_ones_from_the_fit():
    completed = clone(EXACT).fit_transform(X)
    np.testing.assert_array_equal(completed[OBSERVED], X[OBSERVED])
    np.testing.assert_array_equal(completed[~OBSERVED], fitted().reconstruct()[~OBSERVED])


def test_the_factors_are_of_the_values_less_their_biases():
    model = fitted()
    low = np.einsum("ir,jr,kr->ijk", *model.factors_)
    np.testing.assert_allclose(low + model.effects_.mean, model.reconstruct(), atol=1e-12)
    norms = np.prod([np.linalg.norm(factor, axis=0) for factor in model.factors_], axis=0)
    np.testing.assert_allclose(model.component_norms_, norms)
    assert (np.diff(norms) <= 0).all()
    assert model.shape_ == SHAPE
    np.testing.assert_allclose(model.path_["component_norms"][-1, :5], norms[:5], rtol=1e-9)


def test_the_path_ends_in_the_norms_of_the_root():
    """Three of six factors make up a component: the unit counts by its root."""
    model = fitted("hierarchical")
    norms = np.sort(model.component_norms_[-1])[::-1]
    np.testing.assert_allclose(model.path_["component_norms"][-1], norms, rtol=1e-9)


# ------------------------------------------------------------------------------ what goes in


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_data_has_no_influence(form):
    data = FORMS[form](X)
    completed = clone(EXACT).fit_transform(data)
    np.testing.assert_array_equal(completed, np.where(OBSERVED, X, fitted().reconstruct()))
    assert fitted().score(data) == fitted().score(X)


@pytest.mark.parametrize("poison", [1e300, np.inf, np.nan])
def test_what_stands_in_hidden_cells_has_no_influence(poison):
    poisoned = np.where(OBSERVED, X, poison)
    before = poisoned.copy()
    model = clone(EXACT).fit(poisoned, observed=OBSERVED)
    np.testing.assert_array_equal(model.reconstruct(), fitted().reconstruct())
    np.testing.assert_array_equal(poisoned, before)


def test_single_precision_stays_single_precision():
    single = X.astype(np.float32)
    completed = clone(EXACT).fit_transform(single)
    assert completed.dtype == np.float32
    again = clone(EXACT).fit_transform(np.nan_to_num(single), observed=OBSERVED)
    np.testing.assert_array_equal(completed, again)
    assert relative_error(completed, clone(EXACT).fit_transform(X)) < 1e-3


@pytest.mark.parametrize(("a", "b"), [(1.0, 50.0), (1e4, 3.0), (1e-30, 0.0), (1e30, 0.0)])
def test_changing_units_changes_the_answer_alike(a, b):
    model = clone(EXACT).fit(a * X + b)
    changed = a * fitted().reconstruct() + b
    # Rounding grows with b, and the steps of a flow amplify it.
    np.testing.assert_allclose(model.reconstruct(), changed, rtol=0, atol=1e-6 * np.ptp(changed))


class Permuted(AbstractInitializer):
    """The start of another initializer with the indices of every axis in new places."""

    start: AbstractInitializer
    places: tuple[np.ndarray, ...]

    def __call__(self, factorization, shape, seed):
        factors = self.start(factorization, shape, seed)
        return tuple(factor[new] for factor, new in zip(factors, self.places, strict=True))


def test_permuting_indices_commutes_with_completing():
    places = tuple(np.random.default_rng(axis).permutation(size) for axis, size in enumerate(SHAPE))
    model = clone(EXACT).set_params(init=Permuted(Balanced(1e-3), places)).fit(X[np.ix_(*places)])
    expected = fitted().reconstruct()[np.ix_(*places)]
    # Sums in another order differ by rounding, which the steps of a flow amplify.
    assert relative_error(model.reconstruct(), expected) < 1e-6


def test_constants_and_zeros_are_completed_by_themselves():
    for constant in (2.5, 0.0):
        model = clone(EXACT)
        completed = model.fit_transform(np.where(OBSERVED, constant, np.nan))
        np.testing.assert_allclose(completed, constant)
        assert (model.solution_, model.status_, model.effective_rank_) == (None, None, 0.0)


def test_slices_without_entries_get_the_biases_and_a_warning():
    holed = X.copy()
    holed[4], holed[:, :, 2] = np.nan, np.nan
    model = TensorCompletion(stop="interpolate", biases="axes")
    with pytest.warns(FactorflowWarning) as caught:
        completed = model.fit_transform(holed)
    messages = [str(warning.message) for warning in caught]
    assert messages[0].startswith("slices of axis 0 without any observation: 1, the first at pos")
    assert messages[1].startswith("slices of axis 2 without any observation: 1, the first at pos")
    biases = model.effects_.tensor()
    shares = model.component_norms_ / model.component_norms_.sum()
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)))
    assert model.effective_rank_ == pytest.approx(np.exp(entropy))  # of what is left of the factors
    np.testing.assert_allclose(completed[4], biases[4])
    np.testing.assert_allclose(completed[:, :, 2], biases[:, :, 2])
    assert model.effects_.axes[0][4] == model.effects_.axes[2][2] == 0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.full(SHAPE, np.nan), "No cell is observed"),
        (np.where(OBSERVED, X, np.inf), "infinity"),
        (X[0, 0], "Expected 2D array"),
        (np.where(OBSERVED, X * 1e200, np.nan), "cannot be squared"),
        (pd.DataFrame({"user": ["u1"], "film": [7], "score": [2.0]}), "Column 'user' holds 'u1'"),
        (pd.DataFrame({"user": pd.Categorical(["u1"]), "score": [2.0]}), r"from_long_frame\(df"),
    ],
    ids=["all missing", "infinite", "one axis", "huge", "long", "long by categories"],
)
def test_data_that_cannot_be_used_are_refused(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        clone(EXACT).fit(data)


@pytest.mark.parametrize(
    "matrix_model",
    [DeepMatrixCompletion(), SoftImpute(), NuclearNormCompletion(), GreedyLowRankCompletion()],
    ids=lambda model: type(model).__name__,
)
def test_estimators_of_matrices_name_that_of_tensors(matrix_model):
    for data in (X, X.tolist(), Completion.of(X)):
        with pytest.raises(InputError, match=r"\(8, 7, 6\).*by TensorCompletion"):
            matrix_model.fit(data)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"factorization": "tucker"}, 'factorization must be one of "cp", "hierarchical"'),
        ({"components": 0}, "components must be"),
        ({"components": (2, 3)}, "components must be a whole number"),
        ({"factorization": "hierarchical", "components": (2, 0)}, "width must be"),
        ({"factorization": "hierarchical", "components": (2, 3, 4)}, "widths must name 2 levels"),
        ({"factorization": "hierarchical", "arity": 1}, "arity must be 2 or more"),
        ({"biases": "rows+columns"}, "biases must be one of"),
        ({"validation_axes": "colours"}, "validation_axes must be"),
        ({"validation_axes": 3}, r"validation_axes must lie in 0\.\.2; got 3"),
        ({"validation_axes": (0, 1, -1)}, "leave one out"),
        ({"scale": 0.0}, "scale must be"),
        ({"random_state": -1}, "random_state must be"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        TensorCompletion(**parameters).fit(X)


# ------------------------------------------------------------------------------ predictions


def test_predict_reads_the_reconstruction():
    model, whole = fitted(), fitted().reconstruct()
    cells = np.array([[3, 0, 5], [0, 6, 0], [7, 2, 2]])
    close = {"rtol": 1e-10, "atol": 1e-10}
    frame = pd.DataFrame(cells, columns=["c", "a", "b"])  # in the order of the axes, by any names
    for given in (cells, cells.tolist(), tuple(cells.T), frame):
        np.testing.assert_allclose(model.predict(given), whole[tuple(cells.T)], **close)
    some = model.predict((np.arange(3)[:, None], 1, [0, 4]))
    np.testing.assert_allclose(some, whole[:3, 1][:, [0, 4]], **close)
    assert model.predict((1, 2, 3)) == pytest.approx(whole[1, 2, 3])
    assert model.predict([]).shape == (0,)
    hierarchical = fitted("hierarchical")
    expected = hierarchical.reconstruct()[tuple(cells.T)]
    np.testing.assert_allclose(hierarchical.predict(cells), expected, **close)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([[0, 0, 6]], r"axis 2 indices must lie in 0\.\.5; got 6"),
        ([[0, -1, 0]], r"axis 1 indices must lie in 0\.\.6; got -1"),
        ([[0.5, 0, 0]], "axis 0 indices must be whole numbers"),
        ([[0, 0]], r"shape \(p, 3\)"),
        ([0, 0, 0], r"shape \(p, 3\)"),
        ((0, 0), r"a tuple of 3 arrays"),
    ],
)
def test_predict_refuses_cells_outside(given, sentence):
    with pytest.raises(InputError, match=sentence):
        fitted().predict(given)


def test_a_long_frame_brings_its_labels():
    cells = np.argwhere(OBSERVED)
    frame = pd.DataFrame(
        {"user": [f"u{i}" for i in cells[:, 0]], "film": cells[:, 1] + 10, "month": cells[:, 2]}
    )
    frame["score"] = X[tuple(cells.T)]
    model = clone(EXACT).fit(Completion.from_long_frame(frame, "user", "film", "month", "score"))
    np.testing.assert_array_equal(model.reconstruct(), fitted().reconstruct())
    expected = fitted().predict(cells[:9])
    np.testing.assert_array_equal(model.predict(frame[["user", "film", "month"]][:9]), expected)
    np.testing.assert_array_equal(model.predict([["u3", 12, 0]]), fitted().predict([[3, 2, 0]]))
    with pytest.raises(InputError, match="no axis 0 labelled 'u99'"):
        model.predict([["u99", 10, 0]])
    frame["month"] += 1
    with pytest.raises(InputError, match="other labels on axis 2"):
        model.score(Completion.from_long_frame(frame, "user", "film", "month", "score"))


def test_score_refuses_another_shape():
    with pytest.raises(InputError, match=r"\(8, 7, 5\); \(8, 7, 6\) was fitted"):
        fitted().score(Completion.of(X[:, :, :-1]))


# ------------------------------------------------------------------------------ validation


def test_the_validation_error_is_that_of_the_held_out_entries():
    model = TensorCompletion(refit=False).fit(X)
    _, held_out = Completion.of(X).split(0.1, 0)
    error = rmse(model.predict(held_out.indices), held_out.values)
    assert model.validation_error_ == pytest.approx(error)
    assert model.validation_error_ == pytest.approx(float(model.path_["held_out_error"].min()))
    assert fitted("validation").n_gradients_ > model.n_gradients_


def test_entries_that_are_missing_together_are_held_out_together():
    pixels = np.random.default_rng(2).random(SHAPE[:2]) < 0.6
    problem = Completion.of(np.where(pixels[..., None], TRUTH, np.nan))
    axes = fibre_axes("auto", problem)
    assert axes == (2,)
    train, held_out = split_fibres(problem, axes, 0.2, seed=0)
    assert train.n_observed + held_out.n_observed == problem.n_observed
    for part in (train, held_out):
        assert set(part.observed.sum(axis=2).ravel()) == {0, 6}
    assert held_out.n_observed == 6 * round(0.2 * pixels.sum())


def test_axes_to_hold_out_along():
    whole_slices = TRUTH.copy()
    whole_slices[2] = np.nan  # to predict these there is but one axis left
    for data, given, wanted in [
        (X, "auto", ()),
        (TRUTH, "auto", ()),
        (whole_slices, "auto", ()),
        (X, None, ()),
        (X, [], ()),
        (X, -1, (2,)),
        (X, [2, 0], (0, 2)),
    ]:
        assert fibre_axes(given, Completion.of(data)) == wanted


# ------------------------------------------------------------------------------ its own ways


def test_the_random_state_decides_what_is_drawn():
    first, again, other = (
        clone(EXACT).set_params(random_state=seed).fit(X).reconstruct() for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_clones_are_unfitted_and_pickles_are_not():
    copied = clone(fitted())
    assert repr(copied) == repr(EXACT)
    for ask in (copied.reconstruct, lambda: copied.predict([[0, 0, 0]]), lambda: copied.score(X)):
        with pytest.raises(NotFittedError):
            ask()
    read = pickle.loads(pickle.dumps(fitted()))
    np.testing.assert_array_equal(read.reconstruct(), fitted().reconstruct())
    read.reconstruct()[:] = 0
    np.testing.assert_array_equal(read.reconstruct(), fitted().reconstruct())


class Interrupt:
    """Ctrl-C at a step of a run."""

    def __init__(self, run):
        self.run, self.runs, self.last = run, 0, np.inf

    def __call__(self, news):
        self.runs += news["step"] < self.last
        self.last = news["step"]
        if self.runs == self.run and news["step"] >= 20:
            raise KeyboardInterrupt


@pytest.mark.parametrize("run", [1, 2])
def test_an_interrupt_leaves_the_best_point(run):
    with pytest.warns(FactorflowWarning, match="was interrupted"):
        model = TensorCompletion(progress=Interrupt(run)).fit(X)
    assert model.validation_error_ == pytest.approx(float(model.path_["held_out_error"].min()))
    if run == 1:
        assert model.status_ is Status.INTERRUPTED
    else:
        alone = TensorCompletion(refit=False).fit(X)
        np.testing.assert_array_equal(model.reconstruct(), alone.reconstruct())


def test_a_limit_on_gradients_warns():
    with pytest.warns(FactorflowWarning, match=r"Raise max_gradients \(50\)"):
        model = clone(EXACT).set_params(max_gradients=50).fit(X)
    assert model.status_ is Status.GRADIENT_LIMIT


@pytest.mark.parametrize(
    ("parameters", "status", "warns"),
    [
        ({}, Status.TRAIN_ERROR, True),
        ({}, Status.GRADIENT_LIMIT, False),  # near its start a run has all components
        ({}, None, False),
        ({"components": 5}, Status.TRAIN_ERROR, False),
    ],
)
def test_a_warning_of_the_cap_is_for_our_cap(parameters, status, warns):
    model = TensorCompletion(**parameters)
    model.capped_, model.status_ = True, status
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model._count_components((np.ones(5),))
    assert ["5.0, comes near the 5 that" in str(each.message) for each in caught] == [True] * warns
    assert model.effective_rank_ == pytest.approx(5)


def test_arrays_and_no_axis_are_parameters_too():
    tree = TensorCompletion("hierarchical", np.array([2, 3]), validation_axes=[])
    tree._check_parameters()
    assert tree._factorization_for(SHAPE)[0].widths == (2, 3)


def test_how_many_components_there_are_by_default():
    written = TensorCompletion()._factorization_for
    assert written((8, 7, 6))[1] is False
    factorization, capped = written((107, 160, 3))
    assert (factorization.components, capped) == (200, True)
    tree = TensorCompletion("hierarchical")._factorization_for
    factorization, capped = tree((107, 160, 3))
    assert (factorization.widths, capped) == ((64, 3), True)
    assert tree((4, 4, 4, 4))[1] is False
    assert TensorCompletion(components=3)._factorization_for((8, 7, 6))[1] is True
    assert _levels(2, 5) == [[0, 1, 2], [3, 4], [5]]


def test_effects_of_the_axes_are_those_of_an_additive_tensor():
    rng = np.random.default_rng(3)
    additive = 2.0 + sum(np.ix_(*(rng.normal(size=size) for size in SHAPE)))
    effects = fit_axis_effects(Completion.of(np.where(OBSERVED, additive, np.nan)), "axes")
    np.testing.assert_allclose(effects.tensor(), additive, atol=1e-4)
    cells = np.argwhere(~OBSERVED)
    np.testing.assert_allclose(effects.at(*cells.T), effects.tensor()[~OBSERVED])


def test_a_matrix_is_a_tensor_of_two_axes():
    flat = X[:, :, :2].reshape(8, 14)
    frame = pd.DataFrame(flat, index=[f"r{i}" for i in range(8)])
    descent = GradientDescent(1.0)
    model = TensorCompletion(scale=0.1, stop="interpolate", tol=1e-2, dynamics=descent).fit(frame)
    assert model.status_ is Status.TRAIN_ERROR
    left, right = model.factors_
    np.testing.assert_allclose(left @ right.T + model.effects_.mean, model.reconstruct())
    assert model.predict([["r3", 4]]) == pytest.approx(model.reconstruct()[3, 4])
    cells = np.nonzero(~np.isnan(flat))
    stored = scipy.sparse.csr_array((flat[cells], cells), shape=flat.shape)
    again = clone(model).fit(stored)
    np.testing.assert_array_equal(again.reconstruct(), model.reconstruct())
