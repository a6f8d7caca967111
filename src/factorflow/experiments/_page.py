"""Verdicts as tables, as JSON, and as a page with its pictures."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from factorflow._errors import InputError
from factorflow._files import whole_file
from factorflow.experiments._claim import Size
from factorflow.experiments._judgement import Check, Measured, Published
from factorflow.experiments._reproduce import Judgement
from factorflow.report import Link, Mark, Section, Table, Tone, picture, write_report

PAGE = "index.html"

_TONES: dict[str, Tone] = {"reproduced": "good", "differs": "part", "skipped": "quiet"}


def verdict_table(judgements: Sequence[Judgement]) -> Table:
    """One line for each claim: id, verdict, what it is about, time of its runs."""
    rows = [
        (
            Link(each.claim.id, each.claim.id),
            _mark(each),
            each.claim.title,
            None if each.word == "skipped" else seconds_text(each.seconds),
        )
        for each in judgements
    ]
    return Table("Claims and their verdicts.", ("claim", "verdict", "about", "run time"), rows)


def comparison_table(judgement: Judgement) -> Table:
    """Published numbers with the measured ones of the same names beside them.

    Where nothing was measured they stand alone, and of two seeds the values stand where the
    quartiles are.
    """
    published = _by_name(judgement.claim.published)
    if judgement.finding is None:
        rows = [(name, each.value) for name, each in published.items()]
        return Table("Published numbers.", ("quantity", "published"), rows)
    measured = _by_name(judgement.finding.measured)
    rows = [
        (name, *_of_both(published.get(name), measured.get(name)))
        for name in (*published, *(name for name in measured if name not in published))
    ]
    columns = ("quantity", "published", "measured", "quartiles", "seeds")
    caption = "Published numbers, and the median of those measured"
    if any(len(each.seeds) == 2 for each in measured.values()):
        caption += "; of two seeds the values themselves"
    return Table(f"{caption}.", columns, rows)


def checks_table(judgement: Judgement) -> Table:
    """What must hold, with its numbers."""
    checks = () if judgement.finding is None else judgement.finding.checks
    rows = [
        (check.text, _held(check), check.figures, "yes" if check.essential else "no")
        for check in checks
    ]
    return Table("What must hold.", ("check", "held", "numbers", "essential"), rows)


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


def write_page(
    folder: str | os.PathLike, judgements: Iterable[Judgement], *, notes: Sequence[str] = ()
) -> list[Path]:
    """Write the page ``index.html`` and each figure as a picture.

    The pictures are ``ID.png``, or ``ID-1.png`` and so on where a claim has several.

    Parameters
    ----------
    folder
        The folder; it is made if the one around it is there.
    judgements
        What :func:`reproduce` gave.
    notes
        Sentences below the table of the verdicts.

    Returns
    -------
    list of Path
        The pictures and, last, the page.

    Raises
    ------
    InputError
        If the folder or a judgement is none, or a file cannot be written there.
    """
    if not isinstance(folder, str | os.PathLike):
        raise InputError(
            "write_page takes a folder and then the judgements, "
            f'write_page("claims", judgements); the folder given is {type(folder).__name__}.'
        )
    judgements = _checked(judgements)
    # What keeps the folder from being made is said where the first file is written.
    with suppress(OSError):
        Path(folder).mkdir(exist_ok=True)
    paths = []
    for judgement in judgements:
        figures = () if judgement.finding is None else judgement.finding.figures
        for i, (_, figure) in enumerate(figures, 1):
            ending = f"-{i}.png" if len(figures) > 1 else ".png"
            path = Path(folder) / f"{judgement.claim.id}{ending}"
            with whole_file(path) as unfinished:
                unfinished.write_bytes(picture(figure))
            paths.append(path)
    path = Path(folder) / PAGE
    write_report(
        path,
        title="Published results and what was measured",
        summary=[("Claims", tally(judgements))],
        tables=[verdict_table(judgements)],
        notes=notes,
        sections=[_section(each) for each in judgements],
    )
    return [*paths, path]


def _checked(given: object) -> list[Judgement]:
    listed = list(given) if isinstance(given, Iterable) else [given]
    judgements = [each for each in listed if isinstance(each, Judgement)]
    if not isinstance(given, Iterable) or len(judgements) < len(listed):
        raise InputError(
            f"write_page takes the list of judgements that reproduce returns; got {given!r}."
        )
    return judgements


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
    if judgement.word == "skipped":
        reasons += " (--data DIR)"
    else:
        facts.append(("Size", _told(judgement.size)))
        facts.append(("Time of the runs", seconds_text(judgement.seconds)))
    if reasons:
        facts.insert(0, (judgement.word.capitalize(), reasons))
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
    return value, measured.median, _spread(measured), len(measured.seeds)


def _spread(measured: Measured) -> str | None:
    """The quartiles, or where they would say less than the values, those."""
    if len(measured.seeds) > 2:
        return f"{measured.low:.4g} to {measured.high:.4g}"
    values = measured.values if len(measured.seeds) == 2 else ()
    return ", ".join(f"{value:.4g}" for value in values) or None


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
