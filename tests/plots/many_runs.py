"""Results of many runs, computed: ends of flows under commuting measurements, in closed form."""

import numpy as np
import xarray as xr

from factorflow.theory import commuting_flow, kkt_certificate, least_trace, schatten_power

DEPTHS, SCALES = (2, 3, 4), (1e-1, 1e-2, 1e-3, 1e-5)
NAMES = ("mean_squared_error", "nuclear_norm", "effective_rank", "gap", "excess")


def an_instance(seed, n_measurements=6, n=10):
    rng = np.random.default_rng(seed)
    operators = rng.standard_normal((n_measurements, n))
    operators -= operators.mean(axis=1, keepdims=True)
    truth = np.zeros(n)
    truth[:2] = rng.uniform(0.5, 1.5, 2)
    return operators, truth


def an_end(seed, depth, scale, n_measurements=6):
    """The numbers of one end, in the order of ``NAMES``."""
    operators, truth = an_instance(seed, n_measurements)
    values = operators @ truth
    limit = commuting_flow(operators, values, depth, scale)
    least = least_trace(operators, values).sum()
    share = limit.eigenvalues / limit.eigenvalues.sum()
    return (
        np.mean((limit.eigenvalues - truth) ** 2),
        limit.eigenvalues.sum(),
        np.exp(-np.sum(share * np.log(share))),
        kkt_certificate(operators, values, limit).gap,
        limit.eigenvalues.sum() / least - 1,
    )


def over_scales(instances=5):
    """Over depth, scale and instance."""
    table = [[[an_end(i, d, s) for i in range(instances)] for s in SCALES] for d in DEPTHS]
    return _dataset(table, depth=list(DEPTHS), scale=list(SCALES), instance=range(instances))


def over_measurements(instances=6):
    """Over method, oversampling and instance, with ``recovered``."""
    counts, scales = (2, 4, 6, 8), {"scale 0.1": 1e-1, "scale 1e-6": 1e-6}
    table = [
        [[an_end(i, 3, scale, p) for i in range(instances)] for p in counts]
        for scale in scales.values()
    ]
    coordinates = {"method": list(scales), "oversampling": [p / 2 for p in counts]}
    found = _dataset(table, **coordinates, instance=range(instances))
    return found.assign(recovered=found["mean_squared_error"] < 1e-3)


def over_methods(instances=6):
    """Over method and instance: ends of three depths at one scale."""
    found = over_scales(instances).sel(scale=1e-3).drop_vars("scale")
    return found.rename(depth="method").assign_coords(method=["depth 2", "depth 3", "depth 4"])


def schatten_powers():
    """Over p and epsilon: eigenvalues ``1 + epsilon`` and ``1 - epsilon``."""
    exponents, epsilons = [0.25, 0.5, 1.0], np.linspace(-0.6, 0.6, 13)
    matrices = [np.array([[1, e], [e, 1]]) for e in epsilons]
    table = [[schatten_power(matrix, p) for matrix in matrices] for p in exponents]
    return xr.DataArray(table, {"p": exponents, "epsilon": epsilons}, ("p", "epsilon"))


def _dataset(table, **coordinates):
    table = np.array(table)
    variables = {name: (tuple(coordinates), table[..., k]) for k, name in enumerate(NAMES)}
    return xr.Dataset(variables, {name: list(values) for name, values in coordinates.items()})
