"""How few entries recover a matrix: greedy, least rank, deep flow, and methods told the rank."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.datasets import low_rank
from factorflow.dynamics import GradientFlow, GreedyLowRank, Stop, least_rank, solve
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured
from factorflow.experiments._recovery import FlowCase, RecoveryCase
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import DeepLinear
from factorflow.initializers import Gaussian
from factorflow.problems import Completion
from factorflow.report import Table
from factorflow.trajectories import Record, Solution

_RATIOS = (1.3, 1.6, 2.05, 3.0)
_GREEDY, _LEAST = "greedy", "least rank"
_METHODS = (_LEAST, _GREEDY)
_DEEP = {"depth 3": 3, "depth 4": 4}
_RECOVERED, _EXACT = 1e-3, 1e-8
_WIDEST = 8  # largest rank of the greedy runs; the truth has 5
_UNIFORM, _FLOWS = 2000, 3

# Share recovered and seconds on ten such instances at each ratio; they are told the rank.
_TOLD_THE_RANK: dict[str, tuple[tuple[float, ...], tuple[float, ...] | None]] = {
    "R2RILS": ((0.7, 1.0, 1.0, 1.0), (4.0, 0.43, 0.23, 0.18)),
    "GNMR": ((0.2, 1.0, 1.0, 1.0), None),
}

_CAPTION = (
    "Share of instances recovered to a relative error of 1e-3 against the number of entries, as a "
    "multiple of the degrees of freedom. Dashed: methods that are told the rank."
)


@dataclass(frozen=True)
class FewEntriesCase(AbstractCase):
    """A ``size x size`` matrix from ``ratio`` times its degrees of freedom.

    Entries are drawn uniformly, again and again until each row and each column has at least as
    many as the rank.
    """

    kind: ClassVar[str] = "recovery from the fewest entries"
    revision: ClassVar[int] = 1
    method: str
    ratio: float
    instance: int = 0
    size: int = 100
    rank: int = 5

    @property
    def group(self):
        return self.method, self.size, self.rank

    @property
    def problem(self) -> Completion:
        """The instance."""
        n, r = self.size, self.rank
        truth = np.sqrt(r) * low_rank((n, n), r, seed=self.instance)  # that of Gaussian factors
        count = round(self.ratio * r * (2 * n - r))
        rng = stream(self.instance, "fewest entries", str(self.ratio))
        while True:
            rows, columns = np.divmod(rng.choice(n * n, count, replace=False), n)
            seen = np.bincount(rows, minlength=n), np.bincount(columns, minlength=n)
            if min(map(np.min, seen)) >= r:
                values = truth[rows, columns]
                return Completion((n, n), (rows, columns), values, truth=truth)

    @classmethod
    def run_many(cls, cases, finished, progress):
        _solved(cases[0])  # compiles, so that what follows is timed alike
        for case in cases:
            problem, solution = case.problem, _solved(case)
            finished(case, _result(solution, problem.truth), solution.seconds)


@dataclass(frozen=True)
class GreedyCase(RecoveryCase):
    """Recovery by greedy low-rank learning from entries drawn uniformly."""

    kind: ClassVar[str] = "recovery by greedy low-rank learning"
    revision: ClassVar[int] = 1

    @property
    def group(self):
        return self.instances_together

    @classmethod
    def run_many(cls, cases, finished, progress):
        _greedy(cases[0].problem)
        for case in cases:
            solution = _greedy(case.problem)
            finished(case, _result(solution, case.problem.truth), solution.seconds)


def _solved(case: FewEntriesCase) -> Solution:
    problem = case.problem
    if case.method == _GREEDY:
        return _greedy(problem)
    if case.method == _LEAST:
        return least_rank(problem, seed=case.instance)
    return solve(
        problem,
        DeepLinear(_DEEP[case.method]),
        GradientFlow(),
        init=Gaussian(1e-3),
        seed=case.instance,
        record=Record([]),
        throw=False,
    )


def _greedy(problem) -> Solution:
    stop = Stop(train_error=None, n_gradients=6000)
    network = DeepLinear(2, [_WIDEST])
    return solve(
        problem, network, GreedyLowRank(), stop=stop, record=Record([]), route="dense", throw=False
    )


def _result(solution: Solution, truth) -> dict:
    error = np.linalg.norm(solution.matrix - truth) / np.linalg.norm(truth)
    values = solution.singular_values
    return {
        "relative_error": float(error),
        "rank": int(np.count_nonzero(values > 1e-6 * values[0])),
        "n_gradients": solution.n_gradients,
        "status": solution.status.name,
        "run_seconds": solution.seconds,
    }


def _cases(size: Size) -> list[AbstractCase]:
    cases: list[AbstractCase] = [
        FewEntriesCase(method, ratio, i)
        for method in (*_METHODS, *_DEEP)
        for ratio in _RATIOS
        for i in range(size.seeds)
    ]
    cases += [GreedyCase(_UNIFORM, i) for i in range(2 * size.seeds)]
    return cases + [FlowCase(_UNIFORM, i, depth=2) for i in range(min(_FLOWS, size.seeds))]


_Values = dict[tuple[str, float], dict[int, dict]]


def _judge(results: Results) -> Finding:
    found: _Values = {}
    for case, result in of_kind(results, FewEntriesCase).items():
        found.setdefault((case.method, case.ratio), {})[case.instance] = result
    greedy = {case.instance: result for case, result in of_kind(results, GreedyCase).items()}
    flow = {case.instance: result for case, result in of_kind(results, FlowCase).items()}
    return Finding(
        measured=(*_measured(found), *_measured_uniform(greedy, flow)),
        checks=(*_checks(found), *_checks_uniform(greedy, flow)),
        tables=(_table(found),),
        figures=((_CAPTION, _figure(found)),),
        notes=(
            "100 x 100 matrices of rank 5; each row and column is seen at least 5 times. No method "
            "here is told the rank; R2RILS (arXiv:2002.01849) and GNMR (arXiv:2106.12933) are. "
            "Their figures were measured on ten such instances, not those drawn here and not at "
            "the same time.",
            "Deep flow from 1e-3 ends at a mean squared train error of 1e-6, which leaves an error "
            "of about 1e-3 where it succeeds: its shares depend on where the line is drawn.",
            "Greedy is the algorithm itself, from zero upwards. Least rank is another, for exact "
            "entries: it comes down from ranks 7 and 10, from the spectrum of the observed "
            "entries. Its settings were chosen on other instances, at 1.3 times; that a fit must "
            "be the only one nearby was added after an instance of these had failed.",
        ),
    )


def _share(runs: dict[int, dict], below: float) -> float:
    return float(np.mean([run["relative_error"] < below for run in runs.values()]))


def _measured(found: _Values) -> list[Measured]:
    measured = []
    for (method, ratio), runs in found.items():
        for name, words in (
            ("relative_error", "relative error"),
            ("n_gradients", "gradients"),
            ("run_seconds", "seconds"),
        ):
            values = [run[name] for run in runs.values()]
            measured.append(Measured.of(f"{method}, {ratio:g} times: {words}", values, runs))
    return measured


def _measured_uniform(greedy: dict[int, dict], flow: dict[int, dict]) -> list[Measured]:
    def of(name: str, runs: dict[int, dict], what: str) -> Measured:
        return Measured.of(name, [run[what] for run in runs.values()], runs)

    at = f"{_UNIFORM} entries"
    return [
        of(f"{at}, greedy: relative error", greedy, "relative_error"),
        of(f"{at}, greedy: rank", greedy, "rank"),
        of(f"{at}, greedy: gradients", greedy, "n_gradients"),
        of(f"{at}, greedy: seconds", greedy, "run_seconds"),
        of(f"{at}, depth-2 flow from 1e-3: relative error", flow, "relative_error"),
    ]


def _checks(found: _Values) -> list[Check]:
    def least(ratio: float, below: float) -> float:
        return _share(found[_LEAST, ratio], below)

    checks = [
        Check(f"least rank, {ratio:g} times: share of instances with an error below 1e-8",
              least(ratio, _EXACT), ">=", 0.9)
        for ratio in (1.6, 2.05, 3.0)
    ]  # fmt: skip
    checks += [
        Check("least rank, 1.3 times: as large a share recovered as by R2RILS, told the rank",
              least(1.3, _RECOVERED), ">=", 0.7),
        Check("least rank recovers no smaller a share than greedy at any ratio",
              min(least(r, _RECOVERED) - _share(found[_GREEDY, r], _RECOVERED) for r in _RATIOS),
              ">=", 0),
    ]  # fmt: skip
    return checks


def _checks_uniform(greedy: dict[int, dict], flow: dict[int, dict]) -> list[Check]:
    good = [
        run["rank"] == 5 and run["relative_error"] < 1e-6 and run["n_gradients"] <= 1000
        for run in greedy.values()
    ]
    shallow = float(np.median([run["relative_error"] for run in flow.values()]))
    return [
        Check("2000 entries, greedy: share of rank 5 with an error below 1e-6 in 1000 gradients",
              float(np.mean(good)), ">=", 0.9),
        Check("2000 entries, depth-2 flow from 1e-3: the error stays large", shallow, ">", 0.1),
    ]  # fmt: skip


def _table(found: _Values) -> Table:
    rows = []
    for (method, ratio), runs in found.items():
        each = list(runs.values())
        rows.append(
            (
                method,
                f"{ratio:g}",
                f"{_share(runs, _RECOVERED):.0%}",
                f"{_share(runs, _EXACT):.0%}",
                f"{np.median([run['relative_error'] for run in each]):.1e}",
                f"{np.median([run['run_seconds'] for run in each]):.2g}",
            )
        )
    for method, (shares, seconds) in _TOLD_THE_RANK.items():
        times = [f"{each:g}" for each in seconds] if seconds else [""] * len(_RATIOS)
        rows += [
            (f"{method}, told the rank", f"{ratio:g}", f"{share:.0%}", "", "", time)
            for ratio, share, time in zip(_RATIOS, shares, times, strict=True)
        ]
    return Table(
        "Share of instances recovered, and medians of error and seconds (warm).",
        ("method", "ratio", "error below 1e-3", "below 1e-8", "median error", "seconds"),
        rows,
    )


def _figure(found: _Values) -> Figure:
    figure, (ax,) = panels(1, 7.5, 4.0)
    markers = iter("osDv")
    for method in dict.fromkeys(method for method, _ in found):
        shares = [_share(found[method, ratio], _RECOVERED) for ratio in _RATIOS]
        ax.plot(_RATIOS, shares, marker=next(markers), label=method)
    styles = iter((("^", "0.35"), ("x", "0.6")))
    for method, (shares, _) in _TOLD_THE_RANK.items():
        marker, gray = next(styles)
        label = f"{method}, told the rank"
        ax.plot(_RATIOS, shares, "--", marker=marker, color=gray, label=label, zorder=1)
    ax.set(
        xlabel="Entries over degrees of freedom",
        ylabel="Share recovered",
        ylim=(-0.05, 1.05),
        xticks=_RATIOS,
    )
    ax.set_xticklabels([f"{ratio:g}" for ratio in _RATIOS])
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


CLAIM = Claim(
    id="fewest-entries",
    title="Recovery from the fewest entries, rank not told",
    statement="Exact entries at 1.6 times the degrees of freedom give a 100 x 100 matrix of rank "
    "5 to an error below 1e-8 without being told the rank, and mostly so do 1.3 times, where "
    "greedy low-rank learning fails.",
    source="This project; compared with R2RILS (arXiv:2002.01849) and GNMR (arXiv:2106.12933)",
    published=(),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=10,
)
