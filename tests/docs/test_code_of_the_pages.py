"""Every block of Python in the README and the guide runs, in the order of the page."""

import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import factorflow as ff

ROOT = Path(__file__).parents[2]


def blocks(page):
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert found
    return found


@pytest.fixture
def given():
    """What the pages take for granted: a table with holes, in several forms."""
    first, second, third = map(np.random.default_rng, range(3))  # the table of the guide
    X = first.normal(size=(60, 3)) @ second.normal(size=(3, 40))
    observed = third.random(X.shape) >= 0.5
    rows, columns = np.nonzero(observed)
    values = X[observed]
    ratings = pd.DataFrame({"user": rows, "film": columns, "rating": values})
    missing = np.where(observed, X, np.nan)
    S = scipy.sparse.coo_array((values, (rows, columns)), shape=X.shape)
    names = {"ff": ff, "np": np, "X": missing, "new_rows": missing[:2], "observed": observed}
    names |= {"rows": rows, "columns": columns, "values": values, "S": S}
    return {**names, "wide": pd.DataFrame(missing), "ratings": ratings}


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_blocks_run(page, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with mpl.rc_context({"backend": "agg"}):
        for block in blocks(page):
            exec(compile(block, page, "exec"), given)
        plt.close("all")
