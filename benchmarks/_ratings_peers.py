"""What people complete ratings with: cmfrec, Surprise, scikit-learn; and biases alone.

Nothing of factorflow is loaded here, so that memory is the peer's own.
"""

from itertools import product

import numpy as np

from benchmarks._ratings import Method, Predict, Ratings

_MODULE = "benchmarks._ratings_peers"
_SWEEPS = 15


def cmfrec(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    import pandas as pd
    from cmfrec import CMF

    model = CMF(method="als", nthreads=-1, verbose=False, random_state=0, **_per_matrix(setting))
    # A table of triples, not a sparse matrix: with that, films without any rating are predicted
    # one star too high.
    names = {"UserId": ratings.rows, "ItemId": ratings.columns, "Rating": ratings.values}
    return model.fit(pd.DataFrame(names)).predict


def _per_matrix(setting: dict) -> dict:
    """Ridge weights of user bias, film bias and factors, as cmfrec takes them."""
    user, film, factors = setting["weights"]
    return {"k": setting["k"], "lambda_": [user, film, factors, factors, 1.0, 1.0]}


def surprise_svd(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    from surprise import SVD

    return _surprise(SVD(random_state=0, **setting), ratings)


def surprise_knn(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    from surprise import KNNBaseline

    similarity = {"name": setting["name"], "user_based": True}
    return _surprise(KNNBaseline(k=setting["k"], sim_options=similarity, verbose=False), ratings)


def _surprise(model, ratings: Ratings) -> Predict:
    import pandas as pd
    from surprise import Dataset, Reader

    scale = float(ratings.values.min()), float(ratings.values.max())
    frame = pd.DataFrame({"u": ratings.rows, "i": ratings.columns, "r": ratings.values})
    model.fit(Dataset.load_from_df(frame, Reader(rating_scale=scale)).build_full_trainset())

    def predict(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return np.array([each.est for each in model.test([(*pair, 0.0) for pair in pairs])])

    return predict


def knn_imputer(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    from sklearn.impute import KNNImputer

    table = KNNImputer(keep_empty_features=True, **setting).fit_transform(ratings.dense())
    return lambda rows, columns: table[rows, columns]


def biases_alone(ratings: Ratings, setting: dict, trial: bool) -> Predict:
    """Damped means of rows and columns by turns."""
    (m, n), mean = ratings.shape, ratings.values.mean()
    rows, columns, centred = np.zeros(m), np.zeros(n), ratings.values - mean
    row_damping, column_damping = setting["damping"]
    for _ in range(_SWEEPS):
        columns = _damped(ratings.columns, centred - rows[ratings.rows], n, column_damping)
        rows = _damped(ratings.rows, centred - columns[ratings.columns], m, row_damping)
    return lambda i, j: mean + rows[i] + columns[j]


def _damped(groups: np.ndarray, values: np.ndarray, size: int, damping: float) -> np.ndarray:
    sums = np.bincount(groups, values, minlength=size)
    return sums / (np.bincount(groups, minlength=size) + damping)


_CMFREC = [
    {"k": 80, "weights": (5.0, 3.0, 13.0)},
    {"k": 40, "weights": (5.0, 3.0, 12.0)},
    {"k": 40, "weights": (10.0, 10.0, 10.0)},
    {"k": 80, "weights": (8.0, 3.0, 12.0)},
    {"k": 120, "weights": (5.0, 3.0, 12.0)},
    {"k": 120, "weights": (10.0, 3.0, 13.0)},
    {"k": 80, "weights": (3.0, 4.0, 11.0)},
    {"k": 80, "weights": (5.0, 3.0, 15.0)},
    {"k": 20, "weights": (5.0, 3.0, 14.0)},
    {"k": 80, "weights": (2.0, 2.0, 12.0)},
]
_SVD = [
    {"n_factors": 200, "n_epochs": 80, "reg_all": 0.1, "lr_all": 0.007},
    {"n_factors": 100, "n_epochs": 60, "reg_all": 0.1, "lr_all": 0.007},
    {},
    {"n_factors": 200, "n_epochs": 120, "reg_all": 0.1, "lr_all": 0.005},
    {"n_factors": 200, "n_epochs": 60, "reg_all": 0.1, "lr_all": 0.01},
    {"n_factors": 200, "n_epochs": 80, "reg_all": 0.08, "lr_all": 0.007},
    {"n_factors": 200, "n_epochs": 80, "reg_all": 0.12, "lr_all": 0.007},
    {"n_factors": 300, "n_epochs": 80, "reg_all": 0.1, "lr_all": 0.007},
    {"n_factors": 50, "n_epochs": 40, "reg_all": 0.08, "lr_all": 0.01},
    {"n_factors": 100, "n_epochs": 100, "reg_all": 0.08, "lr_all": 0.005},
]
_KNN = [
    {"name": name, "k": k}
    for k, name in product((40, 80, 20, 10, 160), ("msd", "pearson_baseline"))
]
_KNN_IMPUTER = [
    {"n_neighbors": k, "weights": weights}
    for k, weights in product((40, 20, 80, 10, 160), ("uniform", "distance"))
]
_DAMPING = [{"damping": pair} for pair in ((1, 2), (2, 4), (4, 4), *product((1, 2, 8), (1, 3, 6)))]

METHODS = (
    Method("cmfrec CMF", _MODULE, cmfrec, _CMFREC, ("cmfrec",)),
    Method("Surprise SVD", _MODULE, surprise_svd, _SVD, ("surprise",), splits=(1, 3)),
    Method("Surprise KNNBaseline", _MODULE, surprise_knn, _KNN, ("surprise",), splits=(2, 5)),
    Method(
        "scikit-learn KNNImputer",
        _MODULE,
        knn_imputer,
        _KNN_IMPUTER,
        ("sklearn",),
        splits=(0, 1),
        why_not="quick size: its fits take longer than all others together; see the full size",
    ),
    Method(
        "scikit-learn IterativeImputer",
        _MODULE,
        knn_imputer,
        needs=("sklearn",),
        splits=(0, 0),
        why_not="a regression on all other films for each film in every round: thousands of "
        "regressions on thousands of columns, most of them empty",
    ),
    Method("biases alone", _MODULE, biases_alone, _DAMPING),
)
