"""The published descent beside the flow that it follows."""

import numpy as np
import xarray as xr

from factorflow.experiments._case import Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import QUANTITIES, WORDS, panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._recovery import FlowCase, RecipeCase, RecoveryCase
from factorflow.experiments._tabulate import of_kind, tabulate
from factorflow.plots import plot_agreement

_N_OBSERVED = 2000
_SHOWN = ("mean_squared_error", "nuclear_norm", "effective_rank")
_RATES = (1e-3, 3e-4)
_SOURCE = "Arora et al. 2019, published code"

_Setting = tuple[int, float, float]  # depth, scale, learning rate

_QUICK: tuple[_Setting, ...] = ((2, 1e-3, _RATES[0]), (3, 1e-3, _RATES[0]))
_FULL: tuple[_Setting, ...] = (
    *((depth, scale, _RATES[0]) for depth in (2, 3) for scale in (1e-3, 1e-4, 1e-5)),
    *((depth, 1e-3, _RATES[1]) for depth in (2, 3)),
    (4, 1e-3, _RATES[0]),
)


def _cases(size: Size) -> list[RecoveryCase]:
    cases: list[RecoveryCase] = []
    for depth, scale, rate in _FULL if size.full else _QUICK:
        for i in range(size.seeds):
            start = {"depth": depth, "scale": scale}
            cases.append(FlowCase(_N_OBSERVED, i, **start))
            cases.append(RecipeCase(_N_OBSERVED, i, **start, learning_rate=rate))
    return cases


def _judge(results: Results) -> Finding:
    flow, recipe = _pairs(results)
    return Finding(
        measured=tuple(_measured(flow, recipe)),
        checks=tuple(_checks(results, flow, recipe)),
        figures=(("Each point is one instance by both.", _figure(flow, recipe)),),
        notes=(
            "Both start from the same factors and end at a mean squared train error of 1e-6. The "
            "recipe divides each step by the running size of the whole gradient, so that near "
            "zero its steps are long in the time of the flow.",
        ),
    )


def _pairs(results: Results) -> tuple[xr.Dataset, xr.Dataset]:
    """Flow and recipe over the settings of the recipe and the instances."""
    recipes = of_kind(results, RecipeCase)
    flows = {
        case: results[
            FlowCase(case.n_measurements, case.instance, depth=case.depth, scale=case.scale)
        ]
        for case in recipes
    }
    tables = (
        tabulate(
            runs,
            [*QUANTITIES, "n_gradients"],
            setting=_name,
            instance=lambda case: case.instance,
        )
        for runs in (flows, recipes)
    )
    first, second = tables
    return first, second


def _name(case: RecipeCase) -> str:
    return f"depth {case.depth}, scale {case.scale:g}, step {case.learning_rate:g}"


def _measured(flow: xr.Dataset, recipe: xr.Dataset) -> list[Measured]:
    words = {**WORDS, "n_gradients": "gradients"}
    return [
        Measured.of(f"{setting}: {who}, {words[name]}", table[name].sel(setting=setting).values,
                    table.instance.values)
        for setting in flow.setting.values
        for who, table in (("flow", flow), ("recipe", recipe))
        for name in (*_SHOWN, "n_gradients")
    ]  # fmt: skip


def _figure(flow: xr.Dataset, recipe: xr.Dataset):
    figure, axes = panels(len(_SHOWN))
    for name, ax in zip(_SHOWN, axes, strict=True):
        labels = "flow", "published recipe"
        plot_agreement(flow[name], recipe[name], ax, labels=labels, by="setting")
        ax.set_title(WORDS[name])
    return figure


def _checks(results: Results, flow: xr.Dataset, recipe: xr.Dataset) -> list[Check]:
    ended = [result["status"] == "TRAIN_ERROR" for result in results.values()]
    deep = [name for name in flow.setting.values if not name.startswith("depth 2")]
    shallow = [name for name in flow.setting.values if name.startswith("depth 2")]
    apart = np.abs(recipe / flow - 1)
    errors = recipe.mean_squared_error / flow.mean_squared_error
    return [
        Check(
            "every run reaches a mean squared train error of 1e-6", float(np.mean(ended)), ">=", 1.0
        ),
        Check(
            "depth 3 and above recover by the flow as by the recipe",
            max(float(t.mean_squared_error.sel(setting=deep).max()) for t in (flow, recipe)),
            "<",
            1e-3,
        ),
        Check(
            "at depth 2 the errors of recipe and flow are within a factor 2",
            float(np.abs(np.log2(errors.sel(setting=shallow))).max()),
            "<",
            1.0,
        ),
        Check(
            "the nuclear norms of recipe and flow are within 2 per cent",
            float(apart.nuclear_norm.max()),
            "<",
            0.02,
        ),
        Check(
            "the effective ranks of recipe and flow are within 5 per cent",
            float(apart.effective_rank.max()),
            "<",
            0.05,
        ),
        Check(
            "the flow takes at most a tenth of the gradients",
            float((flow.n_gradients / recipe.n_gradients).max()),
            "<",
            0.1,
            essential=False,
        ),
    ]


CLAIM = Claim(
    id="arora2019.recipe",
    title="Published descent beside flow",
    statement="Descent by RMSprop with one scalar for all parameters, as in the published "
    "experiments, comes to the same matrices as gradient flow from the same start.",
    source=_SOURCE,
    published=(
        Published("step sizes", "1e-3 and 3e-4, results insensitive to them", _SOURCE),
        Published("stop", "mean squared train error of 1e-6, at most a million steps", _SOURCE),
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=2,
    full_seeds=3,
)
