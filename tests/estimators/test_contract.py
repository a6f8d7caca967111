"""What every estimator promises; a new one enters by its line in ``members.MEMBERS``."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from members import MEMBERS, OBSERVED, SHAPE, TRUTH, X, fitted
from sklearn.base import clone

from factorflow import Completion, FactorflowWarning, InputError

every_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)

FRAME = pd.DataFrame(
    X, index=[f"user {i}" for i in range(SHAPE[0])], columns=[f"item {j}" for j in range(SHAPE[1])]
)
NEW_ROWS = np.array([[1.0, -2.0], [0.5, 0.5], [-3.0, 1.0]]) @ np.linalg.svd(TRUTH)[2][:2]


def relative_error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def with_gaps(rows, missing):
    rows = rows.copy()
    rows[:, missing] = np.nan
    return rows


def stored(data, kind):
    """Observed cells as stored elements."""
    rows, columns = np.nonzero(~np.isnan(data))
    return kind((data[rows, columns], (rows, columns)), shape=data.shape)


def masked(data):
    """Values under the mask that would be refused, or do harm, if they were read."""
    poison = np.where(np.isnan(data), np.resize([np.inf, 1e300, np.nan], data.shape), data)
    return np.ma.MaskedArray(poison, mask=np.isnan(data))


FORMS = {
    "lists": lambda data: data.tolist(),
    "float objects": lambda data: np.where(np.isnan(data), None, data),
    "Fortran order": np.asfortranarray,
    "masked": masked,
    "frame": pd.DataFrame,
    "frame of nullable floats": lambda data: pd.DataFrame(data).convert_dtypes(),
    "frame of sparse columns": lambda data: pd.DataFrame(data).astype(pd.SparseDtype(float, 0)),
    "csr": lambda data: stored(data, scipy.sparse.csr_array),
    "csc matrix": lambda data: stored(data, scipy.sparse.csc_matrix),
    "coo": lambda data: stored(data, scipy.sparse.coo_array),
    "lil": lambda data: stored(data, scipy.sparse.coo_array).tolil(),
    "completion": Completion.from_array,
    "completion of a frame": lambda data: Completion.from_frame(pd.DataFrame(data)),
}


@every_member
def test_observed_entries_come_back_unchanged(member):
    for completed in (member.make().fit_transform(X), fitted(member).transform(X)):
        np.testing.assert_array_equal(completed[OBSERVED], X[OBSERVED])
        assert np.isfinite(completed).all()


@every_member
def test_what_is_missing_comes_from_the_fit(member):
    completed = member.make().fit_transform(X)
    np.testing.assert_array_equal(completed[~OBSERVED], fitted(member).reconstruct()[~OBSERVED])


@pytest.mark.parametrize(
    "member", [each for each in MEMBERS if each.train_error], ids=lambda member: member.name
)
def test_a_member_that_interpolates_meets_the_observed_entries(member):
    model = fitted(member)
    residuals = (X - model.effects_.matrix())[OBSERVED]
    errors = (X - model.reconstruct())[OBSERVED]
    assert np.mean(errors**2) <= member.train_error * np.mean(residuals**2) * (1 + 1e-9)


@every_member
def test_an_exactly_low_rank_matrix_is_recovered(member):
    assert relative_error(fitted(member).reconstruct(), TRUTH) < member.recovery


@every_member
@pytest.mark.parametrize("poison", [1e300, np.inf, np.nan])
def test_what_stands_in_hidden_cells_has_no_influence(member, poison):
    poisoned = Completion.from_array(np.where(OBSERVED, X, poison), OBSERVED)
    model = member.make().fit(poisoned)
    np.testing.assert_array_equal(model.reconstruct(), fitted(member).reconstruct())
    np.testing.assert_array_equal(model.transform(poisoned), fitted(member).transform(X))


@every_member
@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_data_has_no_influence(member, form):
    data = FORMS[form](X)
    model = member.make()
    completed = model.fit_transform(data)
    expected = np.where(OBSERVED, X, fitted(member).reconstruct())
    np.testing.assert_array_equal(completed, expected)
    np.testing.assert_array_equal(model.transform(data), fitted(member).transform(X))
    assert model.score(data) == fitted(member).score(X)
    assert model.n_features_in_ == SHAPE[1]


@pytest.mark.parametrize(
    "member", [each for each in MEMBERS if each.permuted], ids=lambda member: member.name
)
def test_permuting_rows_and_columns_commutes_with_completing(member):
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(SHAPE[0]), rng.permutation(SHAPE[1])
    model = member.permuted(member.make(), rows, columns).fit(X[rows][:, columns])
    expected = fitted(member).reconstruct()[rows][:, columns]
    # Sums in another order differ by rounding, which the steps of a flow amplify.
    assert relative_error(model.reconstruct(), expected) < 1e-6


@pytest.mark.parametrize(
    "member", [each for each in MEMBERS if each.random], ids=lambda member: member.name
)
def test_the_random_state_decides_what_is_drawn(member):
    first, again, other = (
        member.make(random_state=seed).fit(X).reconstruct() for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@every_member
def test_a_training_row_folded_in_is_its_own_reconstruction(member):
    # Not exactly: the fit leaves a train error of up to 1e-3 of the root mean square, and folding
    # in shares it out anew over the coefficients, as a ridge of that error does.
    model = fitted(member)
    assert relative_error(model.predict(X), model.reconstruct()) < 1e-2


@every_member
def test_new_rows_of_the_same_column_space_are_recovered(member):
    completed = fitted(member).transform(with_gaps(NEW_ROWS, missing=[0, 7, 11]))
    assert relative_error(completed, NEW_ROWS) < 1.5 * member.recovery


@every_member
def test_the_answer_for_a_row_does_not_depend_on_the_others(member):
    model = fitted(member)
    rows = np.vstack([X[:6], with_gaps(NEW_ROWS, [0, 1, 2, 3]), np.full((1, SHAPE[1]), np.nan)])
    together = model.transform(rows)
    alone = np.vstack([model.transform(row[None]) for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.transform(rows[::-1])[::-1], together, rtol=1e-9, atol=1e-9)


@every_member
@pytest.mark.parametrize("form", [np.array, pd.DataFrame, scipy.sparse.csr_array])
def test_a_row_without_observations_gets_mean_and_column_effects(member, form):
    nothing = np.full((2, SHAPE[1]), np.nan)
    rows = form((2, SHAPE[1])) if form is scipy.sparse.csr_array else form(nothing)
    effects = fitted(member).effects_
    expected = np.tile(effects.mean + effects.columns, (2, 1))
    completed = fitted(member).transform(rows)
    np.testing.assert_allclose(completed, expected, atol=1e-12)


@every_member
def test_single_precision_stays_single_precision(member):
    model = member.make()
    completed = model.fit_transform(X.astype(np.float32))
    assert completed.dtype == np.float32
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert model.transform(pd.DataFrame(X.astype(np.float32))).dtype == np.float32
    assert model.transform(X).dtype == np.float64
    assert relative_error(completed, member.make().fit_transform(X)) < 1e-4


@every_member
def test_empty_rows_and_columns_get_the_biases_that_are_known_and_a_warning(member):
    holed = X.copy()
    holed[4], holed[:, 2] = np.nan, np.nan
    model = member.make()
    with pytest.warns(FactorflowWarning) as caught:
        completed = model.fit_transform(holed)
    messages = [str(warning.message) for warning in caught]
    assert messages[0].startswith("rows without any observation: 1, the first at position 4")
    assert messages[1].startswith("columns without any observation: 1, the first at position 2")
    effects = model.effects_
    np.testing.assert_allclose(completed[4], effects.mean + effects.columns)
    np.testing.assert_allclose(
        completed[:, 2][OBSERVED[:, 2]], (effects.matrix()[:, 2])[OBSERVED[:, 2]]
    )
    assert effects.rows[4] == effects.columns[2] == 0
    assert np.isfinite(model.transform(X)).all()


@every_member
def test_inputs_are_never_changed(member):
    for make in (np.array, pd.DataFrame, lambda data: stored(data, scipy.sparse.csr_array), masked):
        data = make(X)
        before = pickle.dumps(data)
        model = member.make()
        model.fit_transform(data)
        model.transform(data)
        model.score(data)
        assert pickle.dumps(data) == before


@every_member
def test_answers_are_the_users_own(member):
    model = member.make().fit(X)
    model.reconstruct()[:] = 0
    model.transform(X)[:] = 0
    np.testing.assert_array_equal(model.reconstruct(), fitted(member).reconstruct())


@every_member
def test_clones_are_unfitted_and_have_the_same_parameters(member):
    copied = clone(fitted(member))
    assert repr(copied) == repr(member.model)
    assert copied.get_params().keys() == member.model.get_params().keys()
    assert not hasattr(copied, "left_")
    assert copied.set_params(random_state=11).get_params()["random_state"] == 11
    assert fitted(member).random_state != 11


@every_member
def test_a_pickled_fit_answers_alike(member):
    read = pickle.loads(pickle.dumps(fitted(member)))
    np.testing.assert_array_equal(read.reconstruct(), fitted(member).reconstruct())
    np.testing.assert_array_equal(read.transform(X), fitted(member).transform(X))
    np.testing.assert_array_equal(read.fit(X).reconstruct(), fitted(member).reconstruct())


@every_member
def test_names_go_in_and_out(member):
    model = member.make().set_output(transform="pandas")
    for data in (FRAME, Completion.from_frame(FRAME)):
        model.fit(data)
        assert model.feature_names_in_.tolist() == FRAME.columns.tolist()
        assert model.get_feature_names_out().tolist() == FRAME.columns.tolist()
        completed = model.transform(FRAME)
        pd.testing.assert_frame_equal(completed.where(OBSERVED), FRAME)
        np.testing.assert_array_equal(completed, fitted(member).transform(X))
    model.fit(Completion.from_array(X))
    assert not hasattr(model, "feature_names_in_")
    assert model.get_feature_names_out().tolist() == [f"x{j}" for j in range(SHAPE[1])]


@every_member
def test_columns_in_another_order_are_refused(member):
    with_text = member.make().fit(FRAME)
    with pytest.raises(ValueError, match="same order as they were in fit"):
        with_text.transform(FRAME.iloc[:, ::-1])
    with pytest.raises(ValueError, match="same order as they were in fit"):
        with_text.transform(Completion.from_frame(FRAME.iloc[:, ::-1]))
    numbered = pd.DataFrame(X)
    with_numbers = member.make().fit(numbered)
    for data in (numbered.iloc[:, ::-1], Completion.from_frame(numbered.iloc[:, ::-1])):
        with pytest.raises(InputError, match="column 0 is 14 in place of 0"):
            with_numbers.transform(data)


@every_member
def test_data_of_another_width_are_refused(member):
    for data in (X[:, :-1], Completion.from_array(X[:, :-1])):
        with pytest.raises(ValueError, match=r"14 features, but .* 15 features"):
            fitted(member).transform(data)


@every_member
def test_predict_reads_the_reconstruction(member):
    model = fitted(member)
    matrix = model.reconstruct()
    rows, columns = np.array([3, 0, 19, 3]), np.array([14, 0, 2, 2])
    close = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(model.predict(rows, columns), matrix[rows, columns], **close)
    np.testing.assert_allclose(
        model.predict(rows[:, None], columns), matrix[np.ix_(rows, columns)], **close
    )
    np.testing.assert_allclose(model.predict(7, columns), matrix[7, columns], **close)
    assert model.predict(7, 3) == pytest.approx(matrix[7, 3], rel=1e-10)
    assert model.predict([], []).shape == (0,)


@every_member
@pytest.mark.parametrize("data", [FRAME, Completion.from_frame(FRAME)], ids=["frame", "completion"])
def test_predict_takes_labels_where_the_data_have_them(member, data):
    model = member.make().fit(data)
    rows, columns = ["user 3", "user 0"], ["item 14", "item 2"]
    matrix = fitted(member).reconstruct()
    np.testing.assert_allclose(model.predict(rows, columns), matrix[[3, 0], [14, 2]], rtol=1e-10)
    np.testing.assert_allclose(
        model.predict(np.array(rows)[:, None], pd.Series(columns)),
        matrix[np.ix_([3, 0], [14, 2])],
        rtol=1e-10,
    )
    with pytest.raises(InputError, match="no row labelled 'user 99'"):
        model.predict(["user 0", "user 99"], "item 0")
    with pytest.raises(InputError, match="no column labelled 3"):
        model.predict("user 0", 3)


@every_member
def test_predict_refuses_cells_outside(member):
    for rows, columns, sentence in [
        (20, 0, r"row indices must lie in 0\.\.19; got 20"),
        (0, [3, -1], r"column indices must lie in 0\.\.14; got -1"),
        (0.5, 0, "row indices must be whole numbers"),
        ([True], 0, "row indices must be whole numbers"),
    ]:
        with pytest.raises(InputError, match=sentence):
            fitted(member).predict(rows, columns)


@every_member
def test_score_is_minus_the_error_and_beats_a_constant(member):
    score = fitted(member).score(X)
    assert isinstance(score, float)
    constant = -np.nanstd(X)
    assert constant / 10 < score < 0
    assert fitted(member).score(X[::-1]) == pytest.approx(score)


@pytest.mark.parametrize(
    "member", [each for each in MEMBERS if each.affine], ids=lambda member: member.name
)
@pytest.mark.parametrize(("a", "b"), [(1.0, 50.0), (1e4, 3.0), (1e-30, 0.0), (1e30, 0.0)])
def test_changing_units_changes_the_answer_alike(member, a, b):
    model = member.make().fit(a * X + b)
    changed = a * fitted(member).reconstruct() + b
    # Rounding grows with b, and the steps of a flow amplify it.
    np.testing.assert_allclose(model.reconstruct(), changed, rtol=0, atol=1e-6 * np.ptp(changed))
    folded = a * fitted(member).transform(X) + b
    np.testing.assert_allclose(model.transform(a * X + b), folded, atol=1e-6 * np.ptp(changed))


@every_member
def test_constant_data_are_completed_by_the_constant(member):
    completed = member.make().fit_transform(np.where(OBSERVED, 2.5, np.nan))
    np.testing.assert_allclose(completed, 2.5, rtol=0.02)


@every_member
def test_zeros_are_completed_by_zeros(member):
    model = member.make()
    completed = model.fit_transform(np.where(OBSERVED, 0.0, np.nan))
    np.testing.assert_array_equal(completed, 0)
    np.testing.assert_array_equal(model.predict(0, [0, 1]), 0)
    assert model.score(np.where(OBSERVED, 0.0, np.nan)) == 0


@every_member
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.full(SHAPE, np.nan), "No cell is observed"),
        (scipy.sparse.csr_array(SHAPE), "No cell is observed"),
        (np.where(OBSERVED, X, np.inf), "infinity"),
        (X[0], "Expected 2D array"),
        (np.where(OBSERVED, X * 1e200, np.nan), "cannot be squared"),
        (np.where(OBSERVED, X * 1e-200, np.nan), "cannot be squared"),
    ],
    ids=["all missing", "nothing stored", "infinite", "one axis", "huge", "tiny"],
)
def test_data_that_cannot_be_used_are_refused(member, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        member.make().fit(data)
