"""Full observation: flow learns the eigenpairs one by one, the largest first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.dynamics import EndToEndFlow, GreedyLowRank, Stop, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import DeepLinear, LogSVD, Symmetric
from factorflow.initializers import Identity
from factorflow.plots import plot_modes
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.theory import SaddleVisit, mode_size, mode_time, saddle_visits
from factorflow.trajectories import AtTimes, Record, matrix

_LEARNED = (4.0, 2.0, 1.0, 0.5)
_PRODUCT, _SYMMETRIC = "product", "symmetric"
# The last eigenvalue, how the matrix is written, the depth and the scale of the start: the deeper,
# the sooner a start is small.
_FLOWS = (
    (0.0, _PRODUCT, 2, 1e-8),
    (0.0, _PRODUCT, 3, 1e-5),
    (0.0, _PRODUCT, 4, 1e-4),
    (-0.25, _PRODUCT, 2, 1e-8),
    (-0.25, _PRODUCT, 3, 1e-5),
    (-0.25, _PRODUCT, 4, 1e-4),
    (-3.0, _SYMMETRIC, 2, 1e-8),
    (-3.0, _SYMMETRIC, 3, 1e-5),
    (-3.0, _SYMMETRIC, 4, 1e-4),
)
_LAST = (0.0, -0.25, -3.0)
_AGREE = 1e-5
_EXACT = 1e-6
_RADIUS = 0.02
_N_RECORDS = 96
_CLOCK = (len(_LEARNED) + 1) ** 2  # what `mode_size` calls 1: the loss is a mean over entries
_SHARES = np.linspace(0.05, 0.95, 13)  # of an eigenvalue: records on its rise, however steep
# Singular vectors are cubic between steps: there many small steps serve records better.
_FORMS = {
    _PRODUCT: (DeepLinear(1), {"solver": diffrax.Dopri8(), "rtol": 1e-8}),
    _SYMMETRIC: (LogSVD(symmetric=True), {"solver": diffrax.Tsit5(), "rtol": 1e-8}),
}


@dataclass(frozen=True)
class EigenpairFlowCase(AbstractCase):
    """Flow from a multiple of the identity towards a fully observed symmetric matrix.

    Parameters
    ----------
    last
        The eigenvalue of the target beside 4, 2, 1 and 1/2; zero or negative.
    moved
        ``"product"``, the end-to-end matrix by its entries, or ``"symmetric"``, by eigenvectors and
        logarithms of eigenvalues, which keep it positive semidefinite.
    depth
        2 or more.
    scale
        The matrix starts at ``scale I``.
    instance
        Seed of the eigenvectors.
    """

    kind: ClassVar[str] = "flow towards a fully observed symmetric matrix"
    revision: ClassVar[int] = 2

    last: float
    moved: str
    depth: int
    scale: float
    instance: int

    @property
    def group(self):
        return self.moved, self.depth

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            form, settings = _FORMS[case.moved]
            vectors, end = _vectors(case.instance), _end(case)
            solution = solve(
                _problem(case.last, case.instance),
                form,
                EndToEndFlow(case.depth, **settings),
                init=Identity(case.scale),
                stop=Stop(train_error=None, time=end),
                record=Record([matrix()], schedule=AtTimes(_times(case))),
                progress=progress,
            )
            turned = vectors.T @ solution.trajectory["matrix"].values @ vectors
            values = np.einsum("kii->ki", turned)
            result = {
                "values": values,
                "off": float(np.abs(turned - values[:, :, None] * np.eye(len(vectors))).max()),
                "time": solution.trajectory["time"].values / _CLOCK,
                "n_gradients": solution.n_gradients,
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)


@dataclass(frozen=True)
class EigenpairGreedyCase(AbstractCase):
    """The critical points of greedy low-rank learning on the same target.

    Parameters
    ----------
    last, instance
        As for :class:`EigenpairFlowCase`.
    """

    kind: ClassVar[str] = "greedy path to a fully observed symmetric matrix"
    revision: ClassVar[int] = 1

    last: float
    instance: int

    @property
    def group(self):
        return "greedy"

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            problem = _problem(case.last, case.instance)
            solution = solve(problem, Symmetric(), GreedyLowRank(), progress=progress)
            path, vectors = solution.path, _vectors(case.instance)
            result = {
                "points": vectors.T @ path.matrices @ vectors,
                "ranks": [each.rank for each in path.points],
                "escapes": [each.escape for each in path.points],
                "n_gradients": solution.n_gradients,
                "status": solution.status.name,
            }
            finished(case, result, solution.seconds)


def _eigenvalues(last: float) -> np.ndarray:
    return np.array([*_LEARNED, last])


def _vectors(instance: int) -> np.ndarray:
    size = len(_LEARNED) + 1
    rng = stream(instance, "eigenpairs", "vectors")
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def _problem(last: float, instance: int) -> Completion:
    vectors = _vectors(instance)
    target = vectors * _eigenvalues(last) @ vectors.T
    return Completion.from_array((target + target.T) / 2, np.ones(target.shape, bool))


def _end(case: EigenpairFlowCase) -> float:
    least = _LEARNED[-1]
    return 2 * float(mode_time(least / 2, case.scale, least, case.depth)) * _CLOCK


def _times(case: EigenpairFlowCase) -> np.ndarray:
    goals = np.array(_LEARNED)
    rises = mode_time(_SHARES[:, None] * goals, case.scale, goals, case.depth) * _CLOCK
    return np.union1d(np.geomspace(rises[0, 0] / 4, 0.9999 * _end(case), _N_RECORDS), rises)


def _cases(size: Size) -> list[AbstractCase]:
    return [
        *(EigenpairGreedyCase(last, i) for last in _LAST for i in range(size.seeds)),
        *(EigenpairFlowCase(*flow, i) for flow in _FLOWS for i in range(size.seeds)),
    ]


def _judge(results: Results) -> Finding:
    flows = of_kind(results, EigenpairFlowCase)
    greedy = of_kind(results, EigenpairGreedyCase)
    measured, checks, rows = [], [], []
    for flow in _FLOWS:
        runs = {c.instance: (c, run) for c, run in flows.items() if _flow_of(c) == flow}
        found = {i: _seen(*pair) for i, pair in runs.items()}
        here = _named(flow)
        measured += [
            Measured.of(f"{here}: {words}", [each[name] for each in found.values()], found)
            for name, words in _WORDS.items()
        ]
        checks += _flow_checks(here, flow[0], list(found.values()))
        medians = (float(np.median([each[name] for each in found.values()])) for name in _WORDS)
        rows.append((here, f"{flow[3]:g}", *medians))
    ended = np.mean([run["status"] == "TIME" for run in flows.values()])
    checks += [Check("every flow runs to its end", float(ended), ">=", 1), *_greedy_checks(greedy)]
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(
            Table(
                _TABLE,
                ("flow", "start", "from the closed form", "off the diagonal", "from a truncation"),
                rows,
            ),
        ),
        figures=((_CAPTION, _figure(flows)),),
        notes=_NOTES,
    )


_WORDS = {
    "apart": "largest distance from the closed form, relative to the eigenvalue",
    "off": "largest entry off the diagonal, in the eigenvectors of the target",
    "visit": "largest distance of the closest visit to a truncation, relative",
}


def _flow_of(case: EigenpairFlowCase) -> tuple[float, str, int, float]:
    return case.last, case.moved, case.depth, case.scale


def _named(flow: tuple[float, str, int, float]) -> str:
    last, moved, depth, _ = flow
    how = "" if moved == _PRODUCT else ", kept symmetric"
    return f"depth {depth}{how}, last eigenvalue {last:g}"


def _seen(case: EigenpairFlowCase, run: dict[str, Any]) -> dict[str, Any]:
    """What is compared of one run."""
    goals, values, times = np.array(_LEARNED), np.asarray(run["values"]), run["time"]
    learned, rest = values[:, : len(goals)], values[:, len(goals)]
    closed = mode_size(times[:, None], case.scale, goals, case.depth)
    halves = [_passing(times, learned[:, i], goals[i] / 2) for i in range(len(goals))]
    visits = _visits(run)
    closest = [min((v.closest for v in visits if v.which == r), default=1.0) for r in _RANKS]
    return {
        "apart": float(np.max(np.abs(learned - closed) / goals)),
        "off": float(run["off"]),
        "visit": float(max(closest)),
        "least_wait": float(np.min(np.divide(halves[1:], halves[:-1]))),
        "order": [visit.which for visit in visits],
        "rest": float(np.max(rest) / case.scale),
        "rest_end": float(rest[-1] / case.scale),
    }


_RANKS = range(len(_LEARNED) + 1)


def _passing(times: np.ndarray, values: np.ndarray, level: float) -> float:
    """When a growing quantity first is at a level or above; NaN if it never is."""
    above = np.flatnonzero(values >= level)
    return float(times[above[0]]) if above.size else float("nan")


def _truncations() -> np.ndarray:
    """In the eigenvectors of the target, ``(5, 5, 5)``."""
    goals = _eigenvalues(0.0)
    return np.array([np.diag(np.where(np.arange(len(goals)) < r, goals, 0.0)) for r in _RANKS])


def _visits(run: dict[str, Any]) -> list[SaddleVisit]:
    values = np.asarray(run["values"])
    matrices = values[:, :, None] * np.eye(values.shape[1])
    path = xr.Dataset({"matrix": (("record", "row", "column"), matrices)},
                      {"time": ("record", run["time"])})  # fmt: skip
    return saddle_visits(path, _truncations(), _RADIUS)


def _flow_checks(here: str, last: float, found: list[dict[str, Any]]) -> Iterable[Check]:
    def most(name: str) -> float:
        return max(each[name] for each in found)

    in_order = np.mean([each["order"] == list(_RANKS) for each in found])
    yield Check(f"{here}: {_WORDS['apart']}", most("apart"), "<=", _AGREE)
    yield Check(f"{here}: {_WORDS['off']}", most("off"), "<=", _AGREE)
    yield Check(
        f"{here}: the larger is half learned first: least ratio of the times of two that "
        "follow each other",
        min(each["least_wait"] for each in found),
        ">",
        1.2,
    )
    yield Check(f"{here}: the truncations are visited once each, from rank 0 to 4",
                float(in_order), ">=", 1)  # fmt: skip
    yield Check(f"{here}: the last eigenvalue never exceeds its start, relative", most("rest"),
                "<=", 1 + _AGREE)  # fmt: skip
    if last < 0:
        yield Check(f"{here}: and has fallen at the end", most("rest_end"), "<", 0.9)


def _greedy_checks(greedy: dict[Any, dict[str, Any]]) -> Iterable[Check]:
    for last in _LAST:
        runs = [run for case, run in greedy.items() if case.last == last]
        here = f"greedy, last eigenvalue {last:g}"
        right = [run["ranks"] == list(_RANKS) for run in runs]
        certified = [run["status"] == "CERTIFIED" for run in runs]
        yield Check(f"{here}: ranks 0 to 4 and no more", float(np.mean(right)), ">=", 1)
        yield Check(f"{here}: certified", float(np.mean(certified)), ">=", 1)
        if not all(right):
            continue
        points, goals = _truncations(), np.array(_LEARNED)
        apart = max(float(np.abs(np.asarray(r["points"]) - points).max()) for r in runs)
        rates = goals / (goals.size + 1) ** 2  # the loss is the mean over all entries
        off = max(float(np.abs(np.array(r["escapes"][:-1]) / rates - 1).max()) for r in runs)
        left = max(r["escapes"][-1] / r["escapes"][0] for r in runs)
        yield Check(
            f"{here}: largest distance of a critical point from the truncation of the target",
            apart,
            "<=",
            _EXACT * goals[0],
        )
        yield Check(
            f"{here}: escapes are the eigenvalues still to be learned, relative", off, "<=", _EXACT
        )
        yield Check(f"{here}: escape at the end, relative to that from zero", left, "<=",
                    GreedyLowRank().tolerance)  # fmt: skip


def _figure(flows: dict[Any, dict[str, Any]]) -> Figure:
    shown = [_FLOWS[0], *(flow for flow in _FLOWS if flow[1] == _SYMMETRIC)]
    figure, axes = panels(len(shown), width=4.2, height=3.9)
    for flow, ax in zip(shown, axes, strict=True):
        case = EigenpairFlowCase(*flow, 0)
        run = flows[case]
        times = np.geomspace(run["time"][1], run["time"][-1], 800)
        curves = mode_size(times[:, None], case.scale, np.array(_LEARNED), case.depth)
        plot_modes(run["time"], run["values"], ax, curves=(times, curves), visits=_visits(run))
        ax.set_title(_named(flow).replace(", last", "\nlast"), fontsize="medium")
    return figure


_TABLE = (
    "Largest distances, medians over the eigenvectors drawn: of an eigenvalue from its closed "
    "form, relative; of the entries off the diagonal from zero, in the eigenvectors of the "
    "target; and of the closest visit to a truncation, Frobenius norms relative to that of rank 4."
)
_CAPTION = (
    "Eigenvalues along the flow: points measured, lines closed form; shaded, the stays within "
    f"{_RADIUS:g} of a truncation of the target, with its rank."
)
_NOTES = (
    "Targets of size 5 with the eigenvalues 4, 2, 1, 1/2 and one of 0, -1/4, -3, all entries "
    "observed; eigenvectors are drawn. Time is that of the sum of half the squared residuals on "
    "layers.",
    "In exact arithmetic every flow here keeps the matrix symmetric and positive semidefinite; in "
    "rounded arithmetic only as long as rounding is not amplified. Where -3 is an eigenvalue of "
    "the target, every truncation whose least eigenvalue is below 3 is unstable against "
    "perturbations that are not symmetric, and rounding is enough to lead away during a plateau. "
    "There the matrix is written in eigenvectors and logarithms of eigenvalues, which hold it "
    "symmetric and positive semidefinite, so that only how an eigenvalue falls is left to measure; "
    "elsewhere by its entries.",
)

CLAIM = Claim(
    id="li2021.eigenpairs",
    title="Eigenpairs learned one by one",
    statement="Under full observation, flow from a small multiple of the identity learns the "
    "eigenpairs of a target one by one, the largest first, each by its closed form, passing by the "
    "truncations of the target, which are the points of the greedy path; a negative eigenvalue is "
    "never learned.",
    source="Li, Luo and Lyu 2021 (arXiv:2012.09839) on full observation; the closed form at depth "
    "2 is that of Saxe, McClelland and Ganguli 2014 (arXiv:1312.6120), beyond it is derived",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
