"""Razin and Cohen 2020, Figure 2: CP factorizations from near zero complete by low tensor rank."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._component_cases import ComponentsCase
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._razin2020_greedy import (
    TRUTHS,
    as_tabulated,
    component_checks,
    component_table,
    of_greedy,
)
from factorflow.experiments._tabulate import of_kind
from factorflow.experiments._tensors import (
    TENSORLY,
    WITHOUT,
    AlternatingCase,
    TensorCase,
    TensorFlowCase,
    TensorRecipeCase,
    ZerosCase,
    ZerosRankCase,
)
from factorflow.plots import plot_recovery
from factorflow.report import Table

_RANKS, _SCALES = TRUTHS, (1e-2, 1e-3)
_NUMBERS = {
    3: (50, 100, 200, 300, 400, 450, 511),
    4: (100, 500, 1000, 2000, 3000, 4095),
}
_COMPARED = {3: (100, 200, 400), 4: (500, 1000, 3000)}  # by TensorLy
# Instances at quick size: ranks of zeros; TensorLy, an odd number, as one that fails is far off.
_RANKED, _COMPARED_QUICKLY = 2, 3
# Of n entries, those that are missing included, sqrt(n times this) is the error it leaves.
_TRAIN_ERROR = {3: 1e-12, 4: 1e-15}
_FIRST = {3: 200, 4: 1000}  # from so many entries on errors are judged
_STATED = {3: 100, 4: 500}  # from so many on ranks are published to be near the truth's
_LARGE, _SMALL = (f"flow, scale {scale:g}" for scale in _SCALES)
_GREEDY, _ZEROS, _ALTERNATING = "greedy components", "zeros", "TensorLy"
_RECIPES = tuple(f"recipe, scale {scale:g}" for scale in _SCALES)
_METHODS = (_LARGE, _SMALL, *_RECIPES, _GREEDY, _ZEROS, _ALTERNATING)
# Where the flow's rank is above the published one: does the published descent do better?
_DOUBTED = {
    3: {"order": 3, "rank": 3, "n_observed": 100},
    4: {"order": 4, "rank": 3, "n_observed": 500},
}
_RECIPE_MOST = {3: 5000, 4: 20_000}  # gradients
_RECIPE_SCALES = {3: _SCALES, 4: _SCALES[:1]}  # from 1e-3 at order 4 it takes far more
_PUBLISHED_END = 1e-6  # train error
_SOURCE = "Razin and Cohen 2020, Figure 2"


def _cases(order: int, size: Size, instances_compared: int) -> list[TensorCase]:
    ranked = size.seeds if size.full else _RANKED
    cases: list[TensorCase] = []
    for rank in _RANKS:
        for count in _NUMBERS[order]:
            for i in range(size.seeds):
                common = {"n_observed": count, "instance": i, "rank": rank, "order": order}
                end = _TRAIN_ERROR[order]
                cases += [TensorFlowCase(**common, scale=s, train_error=end) for s in _SCALES]
                cases.append(ComponentsCase(**common, further=end, ranked=TENSORLY))
                cases.append(ZerosCase(**common))
                if TENSORLY and i < ranked:
                    cases.append(ZerosRankCase(**common))
                if TENSORLY and count in _COMPARED[order] and i < instances_compared:
                    cases.append(AlternatingCase(**common))
    return cases + [_doubted(order, s, i) for s in _RECIPE_SCALES[order] for i in range(size.seeds)]


def _doubted(order: int, scale: float, instance: int) -> TensorRecipeCase:
    return TensorRecipeCase(
        **_DOUBTED[order],  # pyright: ignore[reportArgumentType]
        instance=instance,
        scale=scale,
        train_error=_PUBLISHED_END,
        most=_RECIPE_MOST[order],
        patience=True,
    )


def method_of(case: TensorCase) -> str:
    """The name of a method in tables and pictures."""
    if isinstance(case, TensorFlowCase):
        return f"flow, scale {case.scale:g}"
    if isinstance(case, TensorRecipeCase):
        return f"recipe, scale {case.scale:g}"
    names = {ComponentsCase: _GREEDY, AlternatingCase: _ALTERNATING}
    return names.get(type(case), _ZEROS)


def _judge(results: Results) -> Finding:
    order = next(iter(results)).order
    found = _tabulated(results)
    flows = of_kind(results, TensorFlowCase)
    limited = sum(each["status"] != "TRAIN_ERROR" for each in flows.values())
    ranked = bool(found["rank"].notnull().any())
    return Finding(
        measured=(*_measured(found), *_most_of_zeros(found)),
        checks=(
            *_error_checks(found, order),
            *(_rank_checks(found, order) if ranked else ()),
            *component_checks(results, _STATED[order]),
        ),
        tables=(*(_table(found, rank) for rank in _RANKS), component_table(results)),
        figures=tuple((_caption(rank, order), _figure(found, rank)) for rank in _RANKS),
        notes=(
            _HOW.format(
                _TRAIN_ERROR[order],
                _instances(results, ZerosRankCase),
                _instances(results, AlternatingCase),
            ),
            f"{limited} of {len(flows)} flows ended at {_most(flows)} gradients, above the train "
            "error that was asked for: from 1e-2 the smallest components, which are no part of "
            f"the tensor, shrink slowly. {_unfinished(flows)}",
            _runaways(flows),
            of_greedy(results, _STATED[order]),
            *((_of_recipe(found, order),) if ranked else ()),
            *((_of_zeros(found), _exceptions(found, order)) if ranked else ()),
            *(() if ranked else (WITHOUT,)),
        ),
    )


_HOW = (
    "Flow of as many components as make every tensor, to a mean squared train error of {:g}. "
    "Each instance has a tensor, entries and a start of its own; the published repeats share "
    "tensor and entries. Ranks are the least number of components that alternating least squares "
    "fits to a mean squared error of 1e-6, the published tolerance; those of zeros {}, "
    "from one start at each number, by which they may be too high; their certain lower bound is of "
    "all instances. The published descent ends only when its train error was below 1e-6 in three "
    "checks one hundred steps apart; by then it is often below 1e-9, and its relative error "
    "is far below the one that a train error of 1e-6 leaves, 0.02 to 0.1 here. TensorLy is its "
    "alternating least squares with a mask, the rank chosen from 1 to 8 on a tenth of the entries "
    "that is held out, from three starts at each; {}."
)


def _instances(results: Results, kind: type) -> str:
    """Of which instances there are runs of a kind."""
    seen, every = ({c.instance for c in each} for each in (of_kind(results, kind), results))
    if seen == every:
        return "of all instances"
    return f"of instances {', '.join(map(str, sorted(seen)))} only" if seen else "of none"


def _most(flows: dict) -> int:
    return max((case.most for case in flows), default=0)


def _unfinished(flows: dict) -> str:
    """Where flows end above the train error at which published runs end."""
    cells = Counter(
        f"rank {case.rank}, {case.n_observed} entries, scale {case.scale:g}"
        for case, each in flows.items()
        if each["train_error"] > _PUBLISHED_END
    )
    told = ", ".join(f"{cell} ({count})" for cell, count in cells.items())
    return f"Above the published 1e-6 there are still: {told or 'none'}."


def _runaways(flows: dict) -> str:
    large = [case for case, each in flows.items() if each["largest_components"][0] > 2]
    runs = ", ".join(
        f"rank {c.rank}, {c.n_observed} entries, scale {c.scale:g}, instance {c.instance}"
        for c in large
        if c.n_observed >= _FIRST[c.order]
    )
    return (
        f"{len(large)} of {len(flows)} flows end with a component of norm above 2, where the "
        "tensor has norm 1: few components of large norm agree with the entries that are seen. "
        f"From {_FIRST[next(iter(flows)).order]} entries on: {runs or 'none'}. Smaller steps give "
        "the same, and a smaller start a larger norm: rank stays low and norms do not."
    )


def _exceptions(found: xr.Dataset, order: int) -> str:
    """Cells in which the median of the ranks is above that of the truth by more than one."""
    apart = []
    for truth in _RANKS:
        for method in (_LARGE, _SMALL, _GREEDY):
            rank = _median(found, "rank", truth=truth, method=method)
            apart += [
                f"rank {truth}, {count} entries, {method}: {float(value):g}"
                for count, value in zip(rank.n_observed.values, rank.values, strict=True)
                if value > truth + 1
            ]
    judged = " and ".join(f"{_judged_from(truth, order)} for rank {truth}" for truth in _RANKS)
    return (
        f"Ranks are judged from {judged} entries on. Cells in which the median rank is above "
        f"that of the truth by more than one, in all: {'; '.join(apart) or 'none'}."
    )


def _of_recipe(found: xr.Dataset, order: int) -> str:
    """What the published descent does where the flow's rank is too high."""
    cell = _DOUBTED[order]
    place = {"truth": cell["rank"], "n_observed": cell["n_observed"]}
    ranks = {
        scale: float(_median(found, "rank", method=method, **place))
        for scale, method in zip(_SCALES, _RECIPES, strict=True)
        if scale in _RECIPE_SCALES[order]
    }
    said = " and ".join(f"{rank:g} from 1e{np.log10(scale):.0f}" for scale, rank in ranks.items())
    return (
        f"With {cell['n_observed']} entries of a tensor of rank {cell['rank']} the published "
        f"descent itself, of at most {_RECIPE_MOST[order]} gradients, ends at a median "
        f"rank of {said}."
    )


def _tabulated(results: Results) -> xr.Dataset:
    names = ("relative_error", "rank", "least_rank", "n_gradients", "train_error")
    counts = list(dict.fromkeys(case.n_observed for case in results))
    instances = list(dict.fromkeys(case.instance for case in results))
    coords = {
        "truth": list(_RANKS),
        "method": list(_METHODS),
        "n_observed": counts,
        "instance": instances,
    }
    empty = np.full([len(each) for each in coords.values()], np.nan)
    found = xr.Dataset({name: (tuple(coords), empty.copy()) for name in names}, coords)
    for case, result in results.items():
        place = {
            "truth": case.rank,
            "method": method_of(case),
            "n_observed": case.n_observed,
            "instance": case.instance,
        }
        told = as_tabulated(result) if isinstance(case, ComponentsCase) else result
        for name in names:
            if name in told:
                found[name].loc[place] = told[name]
    return found


def _median(found: xr.Dataset, name: str, **place: object) -> xr.DataArray:
    return found[name].sel(place).median("instance", skipna=True)


def _measured(found: xr.Dataset) -> list[Measured]:
    words = {"relative_error": "relative error", "rank": "estimated rank"}
    measured = []
    for truth in found.truth.values:
        for method in found.method.values:
            for count in found.n_observed.values:
                own = found.sel({"truth": truth, "method": method, "n_observed": count})
                for name, word in words.items():
                    known = own[name].dropna("instance")
                    if known.size:
                        said = f"rank {truth}, {count} entries, {method}: {word}"
                        measured.append(Measured.of(said, known.values, known.instance.values))
    return measured


def _most_of_zeros(found: xr.Dataset) -> list[Measured]:
    """The estimated rank of zeros in the cell in which its median is the largest."""
    if not found["rank"].notnull().any():
        return []
    own = _cell_of_most(found)["rank"].dropna("instance")
    return [Measured.of(_MOST_OF_ZEROS, own.values, own.instance.values)]


def _cell_of_most(found: xr.Dataset, *truths: int) -> xr.Dataset:
    own = found.sel({"method": _ZEROS, "truth": list(truths or _RANKS)})
    cells = own.stack(cell=("truth", "n_observed"))
    medians = cells["rank"].median("instance", skipna=True)
    return cells.isel(cell=int(np.nanargmax(medians.values)))


def _of_zeros(found: xr.Dataset) -> str:
    told = []
    for truth in _RANKS:
        cell = _cell_of_most(found, truth)
        told.append(
            f"{float(cell['rank'].median()):g} for rank {truth}, {int(cell.n_observed)} entries, "
            f"where the certain lower bound is {float(cell.least_rank.median()):g}"
        )
    return f"The {_MOST_OF_ZEROS}, by its median: {'; '.join(told)}."


def _error_checks(found: xr.Dataset, order: int) -> list[Check]:
    checks = []
    last = _NUMBERS[order][-1]
    for truth in _RANKS:
        error = {m: _median(found, "relative_error", truth=truth, method=m) for m in _METHODS}
        # At the last number one entry is missing, and errors are those of the fit.
        known = error[_SMALL].n_observed >= _FIRST[order]
        known = known & (error[_SMALL].n_observed < last)
        cells = f"rank {truth}, {_FIRST[order]} to {_NUMBERS[order][-2]} entries: the error"
        start = f"{cells} from "
        apart = error[_SMALL] / error[_LARGE]
        checks += [
            Check(f"{start}1e-3 is below a {_words(_NEAR_ZERO)} of that of zeros",
                  _worst(error[_SMALL] / error[_ZEROS], known), "<", _NEAR_ZERO),
            Check(f"{start}1e-2 is below a {_words(_NEAR_LARGE)} of that of zeros",
                  _worst(error[_LARGE] / error[_ZEROS], known), "<", _NEAR_LARGE),
            Check(f"{start}1e-3 is below that from 1e-2", _worst(apart, known), "<", 1.0),
            Check(f"{cells} of greedy components is below a {_words(_NEAR_ZERO)} of that of zeros",
                  _worst(error[_GREEDY] / error[_ZEROS], known), "<", _NEAR_ZERO),
            Check(f"{cells} of greedy components is below that from 1e-2",
                  _worst(error[_GREEDY] / error[_LARGE], known), "<", 1.0),
            Check(f"{start}1e-3 is below a third of that from 1e-2", _worst(apart, known), "<",
                  1 / 3, essential=False),
        ]  # fmt: skip
    return checks


_NEAR_ZERO, _NEAR_LARGE = 1e-3, 2e-2


def _words(share: float) -> str:
    return {1e-3: "thousandth", 2e-2: "fiftieth"}[share]


def _worst(ratio: xr.DataArray, where: xr.DataArray) -> float:
    return float(ratio.where(where, drop=True).max())


def _rank_checks(found: xr.Dataset, order: int) -> list[Check]:
    checks = []
    for truth in _RANKS:
        rank = {m: _median(found, "rank", truth=truth, method=m) for m in _METHODS}
        known = rank[_SMALL].n_observed >= _judged_from(truth, order)
        before = known & (rank[_SMALL].n_observed < _NUMBERS[order][-1])
        start = f"rank {truth}, from {_judged_from(truth, order)} entries on"
        stated = rank[_SMALL].n_observed >= _STATED[order]
        flows = (rank[_LARGE], rank[_SMALL])
        few = "the flow's rank is at most one above the true one, from either scale"
        if _STATED[order] < _judged_from(truth, order):
            checks.append(
                Check(f"rank {truth}, from {_STATED[order]} entries on: {few}",
                      max(_worst(each, stated) for each in flows), "<=", truth + 1,
                      essential=False)
            )  # fmt: skip
        checks += [
            Check(f"{start}: {few}", max(_worst(each, known) for each in flows), "<=", truth + 1),
            Check(f"rank {truth}, from {_STATED[order]} entries on: the rank of greedy components "
                  "is at most one above the true one", _worst(rank[_GREEDY], stated), "<=",
                  truth + 1),
            Check(f"{start}, but for the last number: the rank of zeros is more than twice as "
                  "high, by the certain lower bound",
                  float((_median(found, "least_rank", truth=truth, method=_ZEROS)
                         / np.maximum(*flows)).where(before, drop=True).min()), ">", 2.0),
            Check(f"{start}, but for the last number: the rank of zeros is at least four "
                  "times as high",
                  float((rank[_ZEROS] / np.maximum(*flows)).where(before, drop=True).min()),
                  ">=", 4.0),
        ]  # fmt: skip
    return checks


def _judged_from(truth: int, order: int) -> int:
    """Entries from which on ranks are judged: below, neither rank nor tensor is determined.

    Of rank 3 the first number at which the published rank is stated is below: no method of the
    table finds every tensor there.
    """
    return _STATED[order] * (1 if truth == 1 else 2)


def _table(found: xr.Dataset, truth: int) -> Table:
    rows = []
    for count in found.n_observed.values:
        for method in found.method.values:
            place = {"truth": truth, "method": method, "n_observed": count}
            own = found.sel(place)
            if not own.relative_error.notnull().any():
                continue
            ranks = own["rank"].dropna("instance").values
            gradients = own["n_gradients"].median("instance", skipna=True)
            rows.append((
                f"{count}",
                method,
                float(own.relative_error.median()),
                float(own.train_error.median()),
                ", ".join(f"{rank:g}" for rank in np.sort(ranks)),
                None if np.isnan(gradients) else f"{float(gradients):.0f}",
            ))  # fmt: skip
    return Table(
        f"True rank {truth}: medians of relative error, mean squared train error and gradients, "
        "and the ranks of the instances in which they were estimated.",
        ("entries", "method", "relative error", "train error", "ranks", "gradients"),
        rows,
    )


def _caption(truth: int, order: int) -> str:
    shape = " x ".join(["8"] * order)
    return (
        f"{shape} tensors of rank {truth}: relative error and estimated rank against the number "
        "of observed entries, medians with quartiles. Dotted: the true rank."
    )


def _figure(found: xr.Dataset, truth: int) -> Figure:
    figure, (left, right) = panels(2, width=5.2, height=4.0)
    own = found.sel(truth=truth)
    shown: Sequence[str] = [
        m
        for m in _METHODS
        if m not in _RECIPES and own.relative_error.sel({"method": m}).notnull().any()
    ]
    own = own.sel({"method": shown})
    plot_recovery(own, "relative_error", left, x="n_observed")
    if own["rank"].notnull().any():
        named = own["rank"].assign_attrs(long_name="Estimated rank")
        plot_recovery(named, "rank", right, x="n_observed")
        right.axhline(truth, color="black", linewidth=0.9, linestyle=":", zorder=1)
        right.set_ylim(bottom=0)
    return figure


def _published(order: int) -> tuple[Published, ...]:
    if order == 4:
        return (
            Published("rank 1, 1000 entries, flow, scale 0.001: relative error", 1e-6, _SOURCE),
            Published(_MOST_OF_ZEROS, 52.0, _SOURCE),
        )
    return (
        Published("rank 1, 200 entries, flow, scale 0.001: relative error", 5e-6, _SOURCE),
        Published("rank 1, flow, scale 0.01: relative error", "5e-4 to 1e-2", _SOURCE),
        Published("rank 1, zeros: estimated rank", "12 to 17, 2 at the end", _SOURCE),
        Published("rank 1, 50 entries, flow, scale 0.01: estimated rank", 4.0, _SOURCE),
        Published("rank 1, 511 entries, zeros: relative error", 0.08, _SOURCE),
    )


_MOST_OF_ZEROS = "largest rank of zeros"
_TITLE = "Tensor completion by low tensor rank, order {}"
_STATEMENT = (
    "Gradient flow on a CP factorization that can make every tensor, from near zero, ends at "
    "tensors of about the rank of the truth, of smaller error the smaller the start; zeros in "
    "the places that are not observed have a far higher rank and error."
)

ORDER_3 = Claim(
    id="razin2020.tensors",
    title=_TITLE.format(3),
    statement=_STATEMENT,
    source=_SOURCE + " (arXiv:2005.06398), order 3",
    published=_published(3),
    cost="quick",
    cases=lambda size: _cases(3, size, size.seeds if size.full else _COMPARED_QUICKLY),
    judge=_judge,
    seeds=5,
    full_seeds=5,
)

ORDER_4 = Claim(
    id="razin2020.tensors-order4",
    title=_TITLE.format(4),
    statement=_STATEMENT,
    source=_SOURCE + " (arXiv:2005.06398), order 4",
    published=_published(4),
    cost="full",
    cases=lambda size: _cases(4, size, 2 if size.full else 1),
    judge=_judge,
    seeds=1,
    full_seeds=5,
)
