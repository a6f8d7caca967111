"""Published results that can be judged: one file per claim."""

from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._earlier import RECORD, with_earlier
from factorflow.experiments._judgement import Check, Finding, Measured, Published, verdict
from factorflow.experiments._page import (
    as_json,
    checks_table,
    comparison_table,
    seconds_text,
    tally,
    verdict_table,
    write_page,
)
from factorflow.experiments._registry import claims, named
from factorflow.experiments._reproduce import Judgement, reproduce
from factorflow.experiments._runs import Interrupted
from factorflow.experiments._store import Run, Store

__all__ = [
    "RECORD",
    "AbstractCase",
    "Check",
    "Claim",
    "Finding",
    "Interrupted",
    "Judgement",
    "Measured",
    "Published",
    "Results",
    "Run",
    "Size",
    "Store",
    "as_json",
    "checks_table",
    "claims",
    "comparison_table",
    "named",
    "reproduce",
    "seconds_text",
    "tally",
    "verdict",
    "verdict_table",
    "with_earlier",
    "write_page",
]
