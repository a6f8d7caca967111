"""The numbers of a completion, once, for the terminal, the JSON file and the report."""

from math import prod
from typing import Any

from factorflow.cli._completion_run import Outcome
from factorflow.cli._versions import versions

NAMES = {
    "factorflow": "factorflow",
    "row_column_effects": "row and column effects",
    "axis_effects": "effects of the axes",
    "mean": "mean",
}


def error_rows(outcome: Outcome) -> list[tuple[str, float, float | None, float | None]]:
    """For the fit and each baseline: name, test RMSE, PSNR, and how far the fit differs in %."""
    errors, psnr = outcome.errors, outcome.psnr
    rows = []
    for name, text in NAMES.items():
        if name in errors:
            own = name == "factorflow" or not errors[name]
            difference = None if own else 100 * (errors["factorflow"] / errors[name] - 1)
            rows.append((text, errors[name], psnr.get(name), difference))
    return rows


def facts(outcome: Outcome, total: float) -> list[tuple[str, str]]:
    """Names and values that describe the run in words."""
    problem, method, told = outcome.source.problem, outcome.method, outcome.fit.told
    sides = " x ".join(map(str, problem.shape))
    share = problem.n_observed / prod(problem.shape)
    name = "matrix" if problem.order == 2 else "array"
    given = [
        ("input", f"{outcome.source.source} ({outcome.source.kind})"),
        (name, f"{sides}, {problem.n_observed:,} entries observed ({share:.2%})"),
        ("entries", _entries(outcome)),
        ("method", method.words),
        ("biases", str(method.biases)),
    ]
    if told.validation_error is not None:
        given.append(("validation RMSE", f"{told.validation_error:.5g}, the least on the way"))
    given += [
        ("effective rank", f"{told.effective_rank:.1f}, without the biases"),
        *told.facts,
        ("seed", str(method.seed)),
        ("time", _time(outcome, total)),
        ("ended", told.ending[1]),
    ]
    return given


def _entries(outcome: Outcome) -> str:
    if outcome.test is None:
        return f"all {outcome.train.n_observed:,} fitted, none held out for a test"
    kind = "hidden ones" if outcome.source.truth is not None else "held-out ones"
    return f"{outcome.train.n_observed:,} fitted, {outcome.test.n_observed:,} {kind} for the test"


def _time(outcome: Outcome, total: float) -> str:
    work, final = outcome.method.work, outcome.final
    parts = [f"{work} {outcome.fit.seconds:.1f} s"]
    if final is not None and final is not outcome.fit:
        parts.append(f"{work} on all entries {final.seconds:.1f} s")
    return ", ".join([*parts, f"total {total:.1f} s since the command began"])


def json_content(outcome: Outcome, total: float) -> dict[str, Any]:
    """What ``--json`` writes. Errors are in the units of the values (of images: white is 1)."""
    problem, method, told = outcome.source.problem, outcome.method, outcome.fit.told
    errors, psnr = outcome.errors, outcome.psnr
    name, sentence = told.ending
    final = outcome.final if outcome.final is not outcome.fit else None
    return {
        "method": method.name,
        "test_rmse": errors.get("factorflow"),
        "psnr": psnr.get("factorflow"),
        "baselines": {
            baseline: _scores(errors[baseline], psnr.get(baseline))
            for baseline in outcome.baselines
        },
        "validation_rmse": told.validation_error,
        "effective_rank": told.effective_rank,
        **told.numbers,
        "seconds": {
            method.work: outcome.fit.seconds,
            f"{method.work}_on_all_entries": None if final is None else final.seconds,
            "total": total,
        },
        "status": name,
        "status_sentence": sentence,
        "seed": method.seed,
        "input": outcome.source.source,
        "kind": outcome.source.kind,
        "shape": problem.shape,
        "n_observed": problem.n_observed,
        "n_train": outcome.train.n_observed,
        "n_test": 0 if outcome.test is None else outcome.test.n_observed,
        "settings": told.settings,
        "warnings": outcome.warnings,
        "versions": versions(),
    }


def _scores(error: float, psnr: float | None) -> dict[str, float]:
    return {"test_rmse": error} | ({} if psnr is None else {"psnr": psnr})
