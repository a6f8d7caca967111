"""Small claims whose runs draw a few numbers, and what a child process does with them."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow.experiments import (
    AbstractCase,
    Check,
    Claim,
    Finding,
    Measured,
    Published,
    Store,
    as_json,
    reproduce,
)
from factorflow.report import Table

CALLS: list[list["Draw"]] = []
"""What was run: the cases of each call of ``run_many``."""

SLOW = "FACTORFLOW_TEST_SLOW_SEED"


@dataclass(frozen=True)
class Draw(AbstractCase):
    """Draws numbers; a seed of 13 fails, and one that the environment names never ends."""

    kind: ClassVar[str] = "draw"
    revision: ClassVar[int] = 1
    seed: int
    scale: float = 1.0
    where: str = field(default="", compare=False)

    @property
    def group(self):
        return self.scale

    @classmethod
    def run_many(cls, cases, finished, progress):
        CALLS.append(list(cases))
        for case in cases:
            if case.seed == 13:
                raise ZeroDivisionError("an unlucky seed")
            if str(case.seed) == os.environ.get(SLOW):
                time.sleep(600)
            if progress is not None:
                progress({"step": 1})
            numbers = case.scale * stream(case.seed, "toy").standard_normal(4)
            result = {"numbers": numbers, "sum": numbers.sum(), "none": np.nan}
            finished(case, result, 0.5)


def judged(results) -> Finding:
    sums = [result["sum"] for result in results.values()]
    seeds = [case.seed for case in results]
    figure = Figure(figsize=(2, 1.5))
    figure.subplots().plot(sums)
    return Finding(
        measured=(Measured.of("sum", sums, seeds),),
        checks=(
            Check("the sums are finite", float(np.isfinite(sums).all()), ">=", 1),
            Check("the sums are small", max(map(abs, sums)), "<", 100),
            Check("the first sum is right", sums[0], "within", (-3, 3), essential=False),
        ),
        tables=(Table("Sums.", ("seed", "sum"), list(zip(seeds, sums, strict=True))),),
        figures=(("The sums.", figure),),
        notes=("A note <of the toy>.",),
    )


def toy(id: str = "toy.draws", scales=(1.0,), first: int = 0, judge: Callable = judged, **more):
    return Claim(
        **{
            "id": id,
            "title": "Draws",
            "statement": "Sums of draws are small.",
            "source": "Nobody 1900, Table 1",
            "published": (Published("sum", 0.25, "Table 1"), Published("spirit", "high", "page 2")),
            "cost": "quick",
            "cases": lambda size: [
                Draw(first + seed, scale) for scale in scales for seed in range(size.seeds)
            ],
            "judge": judge,
            "seeds": 3,
            "full_seeds": 6,
        }
        | more
    )


def numbers(judgements) -> list[dict]:
    """Everything of judgements but the time, which no two runs share."""
    return [{**as_json(each), "seconds": None} for each in judgements]


if __name__ == "__main__":
    reproduce([toy(scales=(1.0, 2.0))], store=Store(sys.argv[1]))
