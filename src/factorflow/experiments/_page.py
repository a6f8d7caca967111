"""Verdicts as tables, as JSON, and as a page with its pictures."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from factorflow._files import whole_file
from factorflow.experiments._claim import Size
from factorflow.experiments._judgement import Check, Measured, Published
from factorflow.experiments._reproduce import Judgement
from factorflow.report import Link, Mark, Section, Table, Tone, picture, write_report

PAGE = "index.html"

_TONES: dict[str, Tone] = {"reproduced": "good", "differs": "part", "skipped": "quiet"}


def verdict_table(judgements: Sequence[Judgement]) -> Table:
    """One line for each claim: id, verdict, what it is about, time."""
    rows = [
        (
            Link(each.claim.id, each.claim.id),
            _mark(each),
            each.claim.title,
            seconds_text(each.seconds),
        )
        for each in judgements
    ]
    return Table("Claims and their verdicts.", ("claim", "verdict", "about", "time"), rows)


def comparison_table(judgement: Judgement) -> Table:
    """Published numbers with the measured ones of the same names beside them."""
    measured = {} if judgement.finding is None else _by_name(judgement.finding.measured)
    published = _by_name(judgement.claim.published)
    rows = [
        (name, *_of_both(published.get(name), measured.get(name)))
        for name in (*published, *(name for name in measured if name not in published))
    ]
    columns = ("quantity", "published", "measured", "quartiles", "seeds")
    return Table("Published numbers, and the median of those measured.", columns, rows)


def checks_table(judgement: Judgement) -> Table:
    """What must hold, with its figures."""
    checks = () if judgement.finding is None else judgement.finding.checks
    rows = [
        (check.text, _held(check), check.figures, "yes" if check.essential else "no")
        for check in checks
    ]
    return Table("What must hold.", ("check", "", "figures", "essential"), rows)


def as_json(judgement: Judgement) -> dict[str, Any]:
    """A judgement as JSON has it."""
    claim, finding = judgement.claim, judgement.finding
    return {
        "id": claim.id,
        "verdict": judgement.verdict,
        "statement": claim.statement,
        "source": claim.source,
        "published": [vars(each) for each in claim.published],
        "measured": [] if finding is None else [_measured_json(each) for each in finding.measured],
        "checks": [] if finding is None else [_check_json(each) for each in finding.checks],
        "notes": [] if finding is None else list(finding.notes),
        "seeds": judgement.size.seeds,
        "full": judgement.size.full,
        "seconds": judgement.seconds,
    }


def write_page(folder: str | os.PathLike, judgements: Sequence[Judgement]) -> Iterator[Path]:
    """Write the page ``index.html`` and each figure as a picture; their paths, once written.

    The pictures are ``ID.png``, or ``ID-1.png`` and so on where a claim has several.

    Raises
    ------
    InputError
        If a file cannot be written there.
    """
    for judgement in judgements:
        figures = () if judgement.finding is None else judgement.finding.figures
        for i, (_, figure) in enumerate(figures, 1):
            ending = f"-{i}.png" if len(figures) > 1 else ".png"
            path = Path(folder) / f"{judgement.claim.id}{ending}"
            with whole_file(path) as unfinished:
                unfinished.write_bytes(picture(figure))
            yield path
    path = Path(folder) / PAGE
    write_report(
        path,
        title="Published results and what was measured",
        summary=[("Claims", tally(judgements))],
        tables=[verdict_table(judgements)],
        sections=[_section(each) for each in judgements],
    )
    yield path


def tally(judgements: Sequence[Judgement]) -> str:
    """How many claims have which verdict, in words."""
    counts = Counter(each.word for each in judgements)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def seconds_text(time: float) -> str:
    """A time that a reader can take in."""
    if time < 0.95:
        return f"{time:.1g} s"
    return f"{time:.0f} s" if time < 120 else f"{time / 60:.0f} min"


def _section(judgement: Judgement) -> Section:
    claim, finding = judgement.claim, judgement.finding
    reasons = judgement.verdict.partition(": ")[2]
    facts = [("Source", claim.source)]
    if claim.published:
        places = dict.fromkeys(each.source for each in claim.published)
        facts.append(("Published numbers", "; ".join(places)))
    facts.append(("Size", _told(judgement.size)))
    if reasons:
        facts.insert(0, (judgement.word.capitalize(), reasons))
    facts.append(("Time of the runs", seconds_text(judgement.seconds)))
    tables = [comparison_table(judgement), checks_table(judgement)]
    if finding is not None:
        tables += finding.tables
    return Section(
        title=f"{claim.title} ({claim.id})",
        anchor=claim.id,
        mark=_mark(judgement),
        lead=[claim.statement],
        summary=facts,
        tables=[table for table in tables if table.rows],
        figures=() if finding is None else finding.figures,
        notes=() if finding is None else finding.notes,
    )


def _told(size: Size) -> str:
    instances = "1 instance" if size.seeds == 1 else f"{size.seeds} instances"
    return f"{instances}, {'the whole grid' if size.full else 'a part of the grid'}"


def _mark(judgement: Judgement) -> Mark:
    return Mark(judgement.word, _TONES.get(judgement.word, "bad"))


def _held(check: Check) -> Mark:
    if check.holds:
        return Mark("holds", "good")
    return Mark("fails", "bad" if check.essential else "part")


def _by_name(values: Sequence[Any]) -> dict[str, Any]:
    return {value.name: value for value in values}


def _of_both(published: Published | None, measured: Measured | None) -> tuple:
    value = None if published is None else published.value
    if measured is None:
        return value, None, None, None
    if not measured.seeds:
        return value, measured.median, None, None
    quartiles = f"{measured.low:.4g} to {measured.high:.4g}"
    return value, measured.median, quartiles, len(measured.seeds)


def _measured_json(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.name,
        "median": measured.median,
        "spread": {"low": measured.low, "high": measured.high},
        "seeds": measured.seeds,
        "values": measured.values,
    }


def _check_json(check: Check) -> dict[str, Any]:
    return {**vars(check), "holds": check.holds}
