"""What a script of ours does, whole: this module imports nothing before it is asked."""


def flow(path: str, seed: int) -> dict:
    """Load an instance, complete it by gradient flow from a start of scale 1e-3."""
    import numpy as np

    import factorflow as ff

    with np.load(path) as saved:
        shape, values, places = tuple(saved["shape"]), saved["values"], saved["places"]
        depth = sum(name.startswith("factor_") for name in saved)
    places = divmod(places, shape[1])
    problem = ff.Completion.from_tuples(places, values, shape)
    solution = ff.solve(
        problem, ff.DeepLinear(depth), init=ff.Gaussian(1e-3), seed=seed, record=ff.Record([])
    )
    return {
        "train_error": solution.train_error,
        "n_gradients": solution.n_gradients,
        "size": float(abs(solution.matrix).max()),
    }
