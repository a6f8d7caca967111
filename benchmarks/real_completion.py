"""Ratings of films: ours against the packages that people use for them."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure

from benchmarks import _ratings_ours, _ratings_peers
from benchmarks._case import Bar, Case, Result, Table
from benchmarks._clock import in_child, spread
from benchmarks._peers import missing
from benchmarks._ratings import Method, Ratings, Record, judged, save_pair
from factorflow._random import stream
from factorflow.datasets import movielens
from factorflow.plots._style import COLORS, calm

_FOLDERS = {
    "latest-small": "FACTORFLOW_MOVIELENS",
    "100k": "FACTORFLOW_MOVIELENS_100K",
    "1M": "FACTORFLOW_MOVIELENS_1M",
}
_HELD_OUT = 0.1
_SPLITS, _TRIALS = 5, (2, 10)
_LARGER = ("SoftImpute", "cmfrec CMF", "Surprise SVD", "biases alone")  # on 100k and 1M
_BASELINE, _REFERENCE = "biases alone", "SoftImpute"
_MARKERS = ("oD", "sv")  # ours, peers'; the second ones once the colours are used up
_COLUMNS = (
    "method",
    f"RMSE less {_REFERENCE}'s on the same splits",
    "RMSE, mean",
    "standard deviation",
    "splits",
    "trials",
    "fit and predict, s",
    "spread, s",
    "tuning, s a split",
    "first fit, s",
    "whole process, s",
    "peak memory, MiB",
)


def run(full: bool, tell) -> Result:
    given = {name: os.environ[key] for name, key in _FOLDERS.items() if os.environ.get(key)}
    skipped = {
        f"MovieLens {name}": f"give the folder of the unpacked archive in {key}"
        for name, key in _FOLDERS.items()
        if name not in given
    }
    if "latest-small" not in given:
        return Result(tables=[], skipped=skipped)
    tables, data = [], {}
    for name, folder in given.items():
        found, why_not = _contest(_read(folder), name, full, tell)
        skipped |= why_not
        tables.append(_table(name, found))
        data[name] = [record.as_dict() for record in found]
        if name == "latest-small":
            bars, notes = _judgement(found, _twice(_read(folder), found))
    data["environment"] = [_FOLDERS[name] for name in given]
    return Result(tables, bars, skipped, data, notes)


def _read(folder: str) -> Ratings:
    frame = movielens(folder)
    users, rows = np.unique(frame["user"], return_inverse=True)
    films, columns = np.unique(frame["item"], return_inverse=True)
    order = np.lexsort((columns, rows))
    values = frame["rating"].to_numpy(float)
    shape = len(users), len(films)
    return Ratings(shape, rows[order], columns[order], values[order])


def _contest(ratings: Ratings, name: str, full: bool, tell) -> tuple[list[Record], dict[str, str]]:
    """All methods by turns on each split; each tuned there, then fitted to all but the test."""
    methods, skipped = _entered(name, full)
    found = {each.name: Record(each.name, each.peer, _n_trials(each, full)) for each in methods}
    with TemporaryDirectory() as folder:
        for split in range(_SPLITS):
            rest, test = ratings.parts(_HELD_OUT, stream(split, "movielens", "test"))
            train, validation = rest.parts(_HELD_OUT, stream(split, "movielens", "validation"))
            for method in methods:
                if split >= _n_splits(method, name, full):
                    continue
                record = found[method.name]
                _one_split(record, method, (train, validation), (rest, test))
                tell(
                    f"{name}, split {split}: {method.name} {record.rmse[-1]:.4f}, "
                    f"{record.seconds[-1]:.2f} s, tuned in {record.tuning[-1]:.1f} s, "
                    f"{record.chosen[-1]}"
                )
                if split == 0 and (full or method.splits[full] == _SPLITS):
                    _whole_process(record, method, Path(folder) / "split.npz", rest, test)
    return list(found.values()), skipped


def _entered(name: str, full: bool) -> tuple[list[Method], dict[str, str]]:
    entered, skipped = [], {}
    for method in (*_ratings_ours.METHODS, *_ratings_peers.METHODS):
        if name != "latest-small" and method.name not in _LARGER:
            continue
        if absent := missing(*method.needs):
            skipped[method.name] = next(iter(absent.values()))
        elif not _n_splits(method, name, full):
            skipped[method.name] = method.why_not
        else:
            entered.append(method)
    return entered, skipped


def _n_splits(method: Method, name: str, full: bool) -> int:
    return method.splits[full] if name == "latest-small" else 1 + full


def _n_trials(method: Method, full: bool) -> int:
    return min(_TRIALS[full], len(method.grid))


def _one_split(record: Record, method: Method, tuning, last) -> None:
    trials = [
        judged(method, *tuning, setting, trial=True) for setting in method.grid[: record.n_trials]
    ]
    if record.first is None:
        record.first = trials[0][1]
    best = method.grid[int(np.argmin([error for error, _ in trials]))]
    error, seconds = judged(method, *last, best, trial=False)
    record.tuning.append(sum(seconds for _, seconds in trials))
    record.rmse.append(error)
    record.seconds.append(seconds)
    record.chosen.append(best)


def _whole_process(record: Record, method: Method, path: Path, train, test) -> None:
    save_pair(path, train, test)
    child = in_child(
        "benchmarks._ratings",
        "fit_in_child",
        method.module,
        method.name,
        record.chosen[0],
        str(path),
    )
    record.process, record.peak_mb = child.seconds, child.peak_mb


def _twice(ratings: Ratings, found: list[Record]) -> float:
    """Largest difference of two fits of our best method with one seed, over the test entries."""
    best = _best(found, peer=False)
    method = next(each for each in _ratings_ours.METHODS if each.name == best.name)
    rest, test = ratings.parts(_HELD_OUT, stream(0, "movielens", "test"))
    one, two = (method.fit(rest, best.chosen[0], False)(test.rows, test.columns) for _ in range(2))
    return float(np.max(np.abs(one - two)))


def _best(found: list[Record], peer: bool) -> Record:
    """Of those that ran on all splits."""
    entered = [each for each in found if each.peer is peer and each.name != _BASELINE]
    return min(
        (each for each in entered if len(each.rmse) == _SPLITS), key=lambda each: _mean(each)
    )


def _mean(record: Record) -> float:
    return float(np.mean(record.rmse))


def _apart(record: Record, other: Record) -> float:
    """Mean RMSE of one less that of the other, on the splits that both have."""
    both = min(len(record.rmse), len(other.rmse))
    return float(np.mean(np.array(record.rmse[:both]) - other.rmse[:both]))


def _fastest(found: list[Record]) -> Record:
    peers = [each for each in found if each.peer and each.name != _BASELINE]
    return min(peers, key=lambda each: float(np.median(each.seconds)))


def _judgement(found: list[Record], difference: float) -> tuple[list[Bar], list[str]]:
    ours = _best(found, peer=False)
    bars = [
        Bar(
            f"{ours.name}: largest difference between two fits with one seed",
            difference,
            0.0,
            at_least=False,
        )
    ]
    notes = [
        "Users and films without a rating in the rest of their split count too. A tenth of the "
        "ratings is the test, a tenth of the rest judges the settings; then the rest is fitted "
        "whole, with the setting of least validation error, and judged on the test. Predictions "
        "are cut to the range of the ratings. Of every method the first so many settings of a "
        "list in benchmarks/_ratings_ours.py and _ratings_peers.py are tried: the lists were made "
        "by hand on this table's validation entries, ours and the peers' alike, the likeliest "
        "first.",
        "To repeat it, give the folder of the unpacked archive ml-latest-small in the environment "
        f"variable {_FOLDERS['latest-small']}.",
        "SoftImpute and cmfrec minimize much the same penalized squares: SoftImpute convexly, at "
        "any rank and to a certified gap, cmfrec at a rank that is given, by a fixed number of "
        "rounds. The deep estimators need no weight: they stop on held-out ratings of their own, "
        "which is part of their seconds.",
        _of_deep(found),
        "Take cmfrec where speed and memory count, for side information and for implicit feedback; "
        f"{_BASELINE} where {_behind_of_biases(found)} stars do not matter.",
    ]
    if not any(each.peer and each.name != _BASELINE for each in found):
        return bars, notes
    best, fastest = _best(found, peer=True), _fastest(found)
    bars += [
        Bar(
            f"Mean RMSE over {_SPLITS} splits, {ours.name} over the best peer's ({best.name})",
            _mean(ours) / _mean(best),
            1.0,
            at_least=False,
        ),
        Bar(
            f"Seconds of the last fit and its predictions, {ours.name} over the fastest peer's "
            f"({fastest.name})",
            float(np.median(ours.seconds) / np.median(fastest.seconds)),
            3.0,
            at_least=False,
        ),
    ]
    pairs = np.array(ours.rmse) - np.array(best.rmse)
    apart = ", ".join(f"{each:+.4f}" for each in pairs)
    notes.append(f"Split by split {ours.name} less {best.name}: {apart}.")
    return bars, notes


def _behind_of_biases(found: list[Record]) -> str:
    """How far biases alone are from the best, on the splits that both have."""
    alone = next(each for each in found if each.name == _BASELINE)
    return f"{max(_apart(alone, each) for each in found):.2g}"


def _of_deep(found: list[Record]) -> str:
    """How far the flow is from the best, on the splits that both have."""
    best = _best(found, peer=False)
    apart = {each.name: _apart(each, best) for each in found if each.name.startswith("Deep")}
    behind = ", ".join(f"{name} {difference:+.4f}" for name, difference in apart.items())
    return (
        f"RMSE less that of {best.name} on the same splits: {behind}. The flow is for what is "
        "nearly of low rank; ratings are noisy, with many weak directions, which greater depth "
        "leaves out."
    )


def _table(name: str, found: list[Record]) -> Table:
    reference = next(each for each in found if each.name == _REFERENCE)
    rows = [
        _row(each, reference) for each in sorted(found, key=lambda each: _apart(each, reference))
    ]
    caption = (
        f"MovieLens {name}: root-mean-square error on test ratings. Methods run on their first "
        "splits, as many as stand there; seconds of fitting, predicting and tuning are medians "
        "over these."
    )
    return Table(caption, _COLUMNS, rows)


def _row(record: Record, reference: Record) -> tuple:
    deviation = float(np.std(record.rmse, ddof=1)) if len(record.rmse) > 1 else None
    return (
        record.name,
        None if record is reference else f"{_apart(record, reference):+.4f}",
        f"{_mean(record):.4f}",
        deviation,
        len(record.rmse),
        record.n_trials,
        float(np.median(record.seconds)),
        spread(record.seconds),
        float(np.median(record.tuning)),
        record.first,
        record.process,
        record.peak_mb,
    )


def figure(result: Result) -> Figure:
    """Error against seconds, a point for each method; bars are one standard deviation of splits."""
    drawn = Figure(figsize=(7.6, 4.0), layout="constrained")
    ax = calm(drawn.subplots())
    for k, record in enumerate(result.data.get("latest-small", [])):
        ax.errorbar(
            float(np.median(record["seconds"])),
            float(np.mean(record["rmse"])),
            yerr=float(np.std(record["rmse"], ddof=1)) if len(record["rmse"]) > 1 else None,
            color=COLORS[k % len(COLORS)],
            marker=_MARKERS[record["peer"]][k // len(COLORS)],
            linestyle="none",
            capsize=3,
            elinewidth=0.8,
            label=record["name"],
        )
    ax.set_xscale("log")
    ax.set_xlabel("Seconds of the last fit and its predictions")
    ax.set_ylabel("Test RMSE, stars")
    drawn.legend(loc="outside right upper", fontsize=8)
    return drawn


CASE = Case(
    name="real_completion",
    title="Film ratings",
    question="Which error on unseen ratings, after how long, each tuned on the same entries with "
    "as many trials?",
    run=run,
    figure=figure,
)
