"""Every refusal names what it refuses."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from factorflow._errors import InputError
from factorflow.factorizations import DeepLinear
from factorflow.problems import Completion, EntriesLoss

X = np.arange(6.0).reshape(2, 3)
NAN = np.full((2, 3), np.nan)
INF = np.where(X == 5, np.inf, X)
TEXT = np.where(X == 5, "4.5", X.astype(object))
FRAME = pd.DataFrame(X, index=["ann", "bob"], columns=["p", "q", "r"])
LONG = pd.DataFrame({"user": ["ann", "bob"], "item": ["p", "q"], "rating": [1.0, 2.0]})
COO = scipy.sparse.coo_array(([1.0, 2.0], ([1, 1], [2, 2])), (2, 3))
problem = Completion.from_array(X)


def long(name=None, values=None, **kwargs):
    frame = LONG if name is None else LONG.assign(**{name: values})
    return Completion.from_long_frame(frame, "user", "item", "rating", **kwargs)


def triples(rows=(0, 1), columns=(0, 2), values=(1.0, 2.0), **kwargs):
    return Completion.from_triples(rows, columns, values, **kwargs)


# What is wrong: (the call, all of what the message must hold).
REFUSALS = {
    "nothing in an array": (lambda: Completion.of(NAN), "no cell is observed"),
    "nothing under observed": (lambda: Completion.of(X, X < 0), "no cell is observed"),
    "an empty array": (lambda: Completion.of(np.empty((0, 3))), "no cell is observed"),
    "no triple": (lambda: triples([], [], []), "no cell is observed"),
    "nothing in a frame": (lambda: Completion.of(FRAME * np.nan), "no cell is observed"),
    "nothing in a long frame": (lambda: long("rating", np.nan), "no cell is observed"),
    "an empty long frame": (
        lambda: Completion.from_long_frame(LONG[:0], "user", "item", "rating"),
        "no cell is observed",
    ),
    "nothing in a sparse matrix": (
        lambda: Completion.of(scipy.sparse.csr_array((2, 3))),
        "no cell is observed",
    ),
    "infinite in an array": (lambda: Completion.of(INF), "row 1", "column 2", "infinite"),
    "infinite in a frame": (
        lambda: Completion.of(FRAME.replace(5.0, -np.inf)),
        "row 'bob'",
        "column 'r'",
        "infinite",
    ),
    "infinite in a long frame": (lambda: long("rating", [1, np.inf]), "'bob'", "'q'", "infinite"),
    "infinite triple": (lambda: triples(values=[1, np.inf]), "row 1", "column 2", "infinite"),
    "NaN triple": (lambda: triples(values=[1, np.nan]), "row 1", "column 2", "missing"),
    "text in an array": (lambda: Completion.of(TEXT), "row 1", "column 2", "'4.5'"),
    "array of text": (lambda: Completion.of(X.astype(str)), "row 0", "column 0", "'0.0'"),
    "text in a frame": (
        lambda: Completion.of(FRAME.astype(object).replace(5.0, "x")),
        "row 'bob'",
        "column 'r'",
        "'x'",
    ),
    "text in a long frame": (lambda: long("rating", ["1", "2"]), "'ann'", "'p'", "'1'"),
    "dates in a long frame": (
        lambda: long("rating", pd.Timestamp("2020-01-01")),
        "'ann'",
        "'p'",
        "2020",
    ),
    "complex": (lambda: Completion.of(X * 1j), "row 0", "column 0", "no real number"),
    "NaN under observed": (lambda: Completion.of(NAN, X == 4), "row 1", "column 1", "missing"),
    "masked under observed": (
        lambda: Completion.of(np.ma.array(X, mask=X == 4), X >= 4),
        "row 1",
        "column 1",
        "masked",
    ),
    "duplicate triple": (
        lambda: triples([1, 0, 1], [2, 0, 2], [1, 1, 1]),
        "row 1",
        "column 2",
        'duplicates="mean"',
    ),
    "duplicate in a long frame": (
        lambda: Completion.from_long_frame(pd.concat([LONG, LONG]), "user", "item", "rating"),
        "'ann'",
        "'p'",
        'duplicates="mean"',
    ),
    "duplicate in COO": (lambda: Completion.of(COO), "row 1", "column 2", 'duplicates="mean"'),
    "unknown rule": (lambda: triples(duplicates="sum"), "duplicates", "'sum'"),
    "row out of range": (lambda: triples(shape=(1, 3)), "rows[1]", "0..0"),
    "column out of range": (lambda: triples(shape=(2, 2)), "columns[1]", "0..1"),
    "negative row": (lambda: triples(rows=[0, -1]), "rows[1]", "-1"),
    "fractional column": (lambda: triples(columns=[0, 1.5]), "columns[1]", "1.5"),
    "index of text": (lambda: triples(rows=["a", "b"]), "rows", "integer"),
    "lengths": (lambda: triples(values=[1.0]), "(2,)", "(1,)"),
    "matrix of rows": (lambda: triples(rows=[[0, 1]]), "rows", "2 axes"),
    "shape of one number": (lambda: triples(shape=3), "shape", "3"),
    "shape without rows": (lambda: triples(shape=(0, 3)), "shape", "(0, 3)"),
    "shape of observed": (lambda: Completion.of(X, X.T > 0), "(2, 3)", "(3, 2)"),
    "observed of numbers": (lambda: Completion.of(X, X), "observed", "float64", "bool"),
    "observed with sparse": (lambda: Completion.of(COO, X > 0), "observed", "sparse"),
    "vector": (lambda: Completion.of(X[0]), "two axes", "(3,)"),
    "rows of a tensor": (lambda: Completion.of(X[None]).rows, "matrix", "(1, 2, 3)"),
    "ragged lists": (lambda: Completion.of([[1.0], [1.0, 2.0]]), "different lengths"),
    "not sparse": (lambda: Completion.from_sparse(X), "scipy.sparse", "ndarray"),
    "sparse vector": (lambda: Completion.of(scipy.sparse.coo_array(X[0])), "two axes", "(3,)"),
    "not a frame": (lambda: Completion.from_frame(X), "DataFrame", "ndarray"),
    "unknown column": (
        lambda: Completion.from_long_frame(LONG, "user", "film", "rating"),
        "'film'",
        "'user', 'item', 'rating'",
    ),
    "column that comes twice": (
        lambda: Completion.from_long_frame(
            pd.concat([LONG, LONG[["item"]]], axis=1), "user", "item", "rating"
        ),
        "more than one column",
        "'item'",
    ),
    "missing label in a long frame": (lambda: long("item", ["p", None]), "'item'", "line 1"),
    "labels that cannot be hashed": (lambda: long("user", [[1], [2]]), "'user'", "hashable"),
    "missing label of a wide frame": (
        lambda: Completion.of(FRAME.rename(columns={"q": np.nan})),
        "column 1",
        "missing",
    ),
    "label that comes twice": (
        lambda: Completion.of(FRAME.rename(index={"bob": "ann"})),
        "row label 'ann'",
    ),
    "too few labels": (lambda: Completion((2, 3), ([0], [0]), [1.0], (["a"], None)), "2", "1"),
    "fraction of one": (lambda: problem.split(1.0, 0), "fraction", "1.0"),
    "fraction of text": (lambda: problem.split("half", 0), "fraction", "'half'"),
    "too many observations": (lambda: Completion.sample(X, 7), "n_observed", "6", "7"),
    "no observation": (lambda: Completion.sample(X, 0), "n_observed", "0"),
    "half an observation": (lambda: Completion.sample(X, 0.5), "n_observed", "0.5"),
    "negative noise": (lambda: Completion.sample(X, 2, noise=-1.0), "noise", "-1.0"),
    "seed": (lambda: Completion.sample(X, 2, seed=-1), "seed", "-1"),
    "infinite truth": (lambda: Completion.sample(INF, 2), "row 1", "column 2", "is inf"),
    "truth of another shape": (
        lambda: Completion((2, 3), ([0], [0]), [1.0], truth=X.T),
        "truth",
        "(2, 3)",
        "(3, 2)",
    ),
    "values of another length": (lambda: problem.with_values([1.0]), "6", "(1,)"),
    "route": (lambda: problem.loss(DeepLinear(2), "fast"), "route", "'fast'"),
    "entries of depth 1": (
        lambda: problem.loss(DeepLinear(1), "entries"),
        "depth 2",
        'route="dense"',
    ),
    "kernel": (
        lambda: EntriesLoss(DeepLinear(2), (2, 3), ([0], [0]), [1.0], kernel="cuda"),
        "kernel",
        "'cuda'",
    ),
    "entries out of range": (
        lambda: EntriesLoss(DeepLinear(2), (2, 3), ([2], [0]), [1.0]),
        "rows",
        "0..1",
    ),
    "entries out of order": (
        lambda: EntriesLoss(DeepLinear(2), (2, 3), ([1, 0], [0, 0]), [1.0, 1.0]),
        "sorted",
    ),
}


@pytest.mark.parametrize("call", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_name_what_they_refuse(call):
    function, *named = call
    with pytest.raises(InputError) as caught:
        function()
    for part in named:
        assert part.lower() in str(caught.value).lower()
    assert str(caught.value).count("\n") == 0
