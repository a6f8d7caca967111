"""A trajectory made by hand, in the form that a run gives."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure


@pytest.fixture
def trajectory():
    times = np.arange(6.0)
    variables = {
        "singular_values": (("record", "component"), np.outer(times, [3, 2, 1e-3])),
        "effective_rank": ("record", 1 + 2 / (1 + times)),
        "train_error": ("record", np.exp(-times)),
    }
    names = ("time", "step", "n_gradients")
    return xr.Dataset(variables, {name: ("record", times) for name in names})


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1.5))
    ax = figure.subplots()
    ax.plot([0, 1], [1, 0])
    ax.set(xlabel="Time", ylabel="Error <of all>")
    return figure


@pytest.fixture(autouse=True)
def no_figure_of_pyplot():
    """The report draws without pyplot, so that nothing stays open in a long session."""
    yield
    assert plt.get_fignums() == []
