"""Trajectories made by hand, in the form that a run gives."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr


def a_trajectory(times, **errors):
    times = np.asarray(times, dtype=np.float64)
    steps = np.arange(times.size)
    rank_grows = np.outer(times, np.linspace(1, 0, 12)) + 0.5
    variables = {
        "singular_values": (("record", "component"), rank_grows, {"units": "stars"}),
        "effective_rank": ("record", 1 + 5 / (1 + times), {"units": "1"}),
        "train_error": (
            "record",
            np.exp(-times / 10),
            {"units": "1", "description": "mean square"},
        ),
    }
    variables |= {name: ("record", np.exp(-times / rate)) for name, rate in errors.items()}
    coordinates = {
        "time": ("record", times),
        "step": ("record", 4 * steps),
        "n_gradients": ("record", 3 + 9 * steps),
    }
    return xr.Dataset(variables, coordinates)


@pytest.fixture
def trajectory():
    return a_trajectory([0, 1, 2, 5, 9], held_out_error=20, reconstruction_error=30)


@pytest.fixture
def long_trajectory():
    return a_trajectory([0, 1, 10, 100, 1000])


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture(autouse=True)
def closed():
    """Close what a test leaves open."""
    yield
    plt.close("all")
