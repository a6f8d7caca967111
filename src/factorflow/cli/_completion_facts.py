"""The numbers of a completion, once, for the terminal, the JSON file and the report."""

from typing import Any

from factorflow.cli._completion_run import Outcome
from factorflow.cli._versions import versions

NAMES = {
    "factorflow": "factorflow",
    "row_column_effects": "row and column effects",
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
    problem, method, model = outcome.source.problem, outcome.method, outcome.fit.model
    m, n = problem.shape
    share = problem.n_observed / (m * n)
    given = [
        ("input", f"{outcome.source.source} ({outcome.source.kind})"),
        ("matrix", f"{m} x {n}, {problem.n_observed:,} entries observed ({share:.2%})"),
        ("entries", _entries(outcome)),
        ("method", f"depth {method.depth}, scale {method.scale:g}, stop by {method.stop}"),
        ("widths", _widths(outcome)),
        ("biases", str(method.biases)),
    ]
    if model.validation_error_ is not None:
        given.append(("validation RMSE", f"{model.validation_error_:.5g}, at the stop"))
    given += [
        ("effective rank", f"{model.effective_rank_:.1f}, without the biases"),
        ("gradients", f"{model.n_gradients_:,}"),
        ("route", _route(outcome) or "none"),
        ("seed", str(method.seed)),
        ("time", _time(outcome, total)),
        ("ended", outcome.fit.status[1]),
    ]
    return given


def _entries(outcome: Outcome) -> str:
    if outcome.test is None:
        return f"all {outcome.train.n_observed:,} fitted, none held out for a test"
    kind = "hidden ones" if outcome.source.truth is not None else "held-out ones"
    return f"{outcome.train.n_observed:,} fitted, {outcome.test.n_observed:,} {kind} for the test"


def _widths(outcome: Outcome) -> str:
    model = outcome.fit.model
    if not model.widths_:
        return "none (depth 1)"
    text = ", ".join(map(str, model.widths_))
    full = min(outcome.source.problem.shape)
    return text + (f" (capped: the full width is {full})" if model.capped_ else " (full)")


def _time(outcome: Outcome, total: float) -> str:
    parts = [f"flow {outcome.fit.seconds:.1f} s"]
    final = outcome.final
    if final is not None and final is not outcome.fit:
        parts.append(f"flow on all entries {final.seconds:.1f} s")
    return ", ".join([*parts, f"total {total:.1f} s since the command began"])


def _route(outcome: Outcome) -> str | None:
    solution = outcome.fit.model.solution_
    return None if solution is None else solution.route


def json_content(outcome: Outcome, total: float) -> dict[str, Any]:
    """What ``--json`` writes. Errors are in the units of the values (of images: white is 1)."""
    problem, method, model = outcome.source.problem, outcome.method, outcome.fit.model
    errors, psnr = outcome.errors, outcome.psnr
    name, sentence = outcome.fit.status
    final = outcome.final if outcome.final is not outcome.fit else None
    return {
        "test_rmse": errors.get("factorflow"),
        "psnr": psnr.get("factorflow"),
        "baselines": {
            baseline: _scores(errors[baseline], psnr.get(baseline))
            for baseline in outcome.baselines
        },
        "validation_rmse": model.validation_error_,
        "effective_rank": model.effective_rank_,
        "n_gradients": model.n_gradients_,
        "seconds": {
            "flow": outcome.fit.seconds,
            "flow_on_all_entries": None if final is None else final.seconds,
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
        "settings": {
            "depth": method.depth,
            "scale": method.scale,
            "widths": model.widths_,
            "capped": model.capped_,
            "biases": method.biases,
            "stop": method.stop,
        },
        "route": _route(outcome),
        "warnings": outcome.warnings,
        "versions": versions(),
    }


def _scores(error: float, psnr: float | None) -> dict[str, float]:
    return {"test_rmse": error} | ({} if psnr is None else {"psnr": psnr})
