"""Circuits trained on digits: what a run gives, and a verdict that can fail."""

import numpy as np
import pytest
import xarray as xr

from factorflow.experiments import Results, verdict
from factorflow.experiments import _circuits_digits as trained


def ran(case):
    found = {}
    type(case).run_many([case], lambda case, result, seconds=None: found.update(result), None)
    return found


def test_a_circuit_learns_digits_by_a_low_rank(monkeypatch):
    monkeypatch.setattr(trained, "_COMPONENTS", 8)
    run = ran(trained.DigitsCase(trained.SHALLOW, trained.WRITTEN, 4, 1e-3, 0))
    assert run["status"] == "TRAIN_ERROR"
    assert run["train_error"] <= 0.1
    assert run["accuracy"] > 0.9
    assert 1 <= run["rank"] <= run["largest_rank"] < 2
    assert run["path"].shape == trained._LEVELS.shape
    assert np.isfinite(run["path"]).all()
    assert run["path"][-1] == pytest.approx(run["rank"])


def test_as_many_images_in_training_whatever_the_pair():
    for seed in range(4):
        train, held_out = trained._problems(
            trained.DigitsCase(trained.DEEP, trained.LABELS, 16, 1e-4, seed)
        )
        assert train.n_samples == trained._N_TRAIN
        assert held_out.n_samples > 180
        assert train.shape == (5,) * 16


def digits_finding(rank, *, full=False, seeds=2):
    results = []
    for case in trained.CLAIM.cases(trained.CLAIM.size(full=full, seeds=seeds)):
        low = rank(case)
        told = 0.97 if case.data == trained.WRITTEN else 0.5
        run = {"digits": [1, 2], "train_error": 0.099, "accuracy": told, "n_gradients": 9}
        path = np.linspace(low, low + 1, len(trained._LEVELS))
        run |= {"rank": low, "largest_rank": 2 * low, "path": path, "status": "TRAIN_ERROR"}
        results.append((case, run))
    return trained._judge(Results(results))


def as_claimed(case):
    return 1.1 if case.data == trained.WRITTEN else 1.2 - 0.2 * np.log10(10 * case.scale)


def test_the_verdict_follows_the_ranks():
    finding = digits_finding(as_claimed)
    assert verdict(finding.checks) == "reproduced"
    assert len(finding.tables[0].rows) == 6
    same = digits_finding(lambda case: 1.5)
    assert verdict(same.checks).startswith("not reproduced: shallow circuit, 4 places")


def test_pairs_are_compared_at_a_train_error_that_both_came_to():
    rows = {trained.WRITTEN: [1.5, 1.3, 1.4], trained.LABELS: [1.2, 1.6, np.nan]}
    paths = xr.DataArray(
        [[row] for row in rows.values()],
        dims=("data", "instance", "level"),
        coords={"data": list(rows)},
    )
    assert trained._share_below(xr.Dataset({"path": paths}), trained.LABELS) == 1
    paths[0, 0, 1] = 1.7
    assert trained._share_below(xr.Dataset({"path": paths}), trained.LABELS) == 0


def test_at_full_size_the_scale_is_judged_and_does_not_decide():
    full = digits_finding(as_claimed, full=True)
    assert verdict(full.checks) == "reproduced"
    assert len(full.tables[0].rows) == 21

    def larger_only_at_first(case):
        return 1.1 if case.data == trained.WRITTEN or case.places == 16 else 2.0

    finding = digits_finding(larger_only_at_first, full=True)
    assert verdict(finding.checks).startswith("differs: ")
    assert "from the start 1e-05 above that from 0.001" in verdict(finding.checks)
