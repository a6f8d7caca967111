"""Running claims and judging them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from factorflow._errors import InputError
from factorflow.experiments._case import AbstractCase, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._judgement import Finding, verdict
from factorflow.experiments._registry import named
from factorflow.experiments._runs import Progress, Runs, told
from factorflow.experiments._store import Store


@dataclass(frozen=True)
class Judgement:
    """What became of a claim.

    Attributes
    ----------
    claim, size
        What was judged, and how much of it was run.
    verdict
        ``reproduced``, ``differs: ...``, ``not reproduced: ...``, ``not judged: ...`` where a run
        or the judging failed, or ``skipped: needs ...`` where data were not given.
    finding
        The numbers, or None where there was nothing to judge.
    seconds
        What its runs took when they were computed, and the judging.
    cause
        What was raised, where the claim was not judged.
    """

    claim: Claim
    size: Size
    verdict: str
    finding: Finding | None
    seconds: float
    cause: Exception | None = None

    @property
    def word(self) -> str:
        """The verdict without its reasons."""
        return self.verdict.partition(":")[0]


def reproduce(
    claims: Claim | str | Iterable[Claim | str],
    *,
    seeds: int | None = None,
    full: bool = False,
    data: str | os.PathLike | None = None,
    store: Store | str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> list[Judgement]:
    """Run what the claims need and judge them.

    A run that several claims need is done once, one that the store holds is not done again, and
    each is kept there as it ends. The verdicts do not depend on the order of the claims, nor on
    what was in the store before.

    Parameters
    ----------
    claims
        The claims or their ids, e.g. ``factorflow.experiments.claims()`` or
        ``["arora2019.table1"]``; one may stand alone.
    seeds
        Number of instances, by default each claim's own.
    full
        Whether each is run at its full size.
    data
        Folder of the data that some need.
    store
        Where finished runs are kept, a :class:`Store` or its folder; by default nowhere.
    progress
        Function of a dictionary with ``n_done`` and ``n_wanted`` runs, the ids of the ``claims``
        for which something runs now, and whatever the runs tell of themselves. The first call
        comes once the store was read: its ``n_done`` are the runs that were there already. Calls
        come from any thread, one at a time.

    Returns
    -------
    list of Judgement
        One for each claim, in their order. A run that fails is told in the verdicts of the claims
        that need it and stops no other.

    Raises
    ------
    Interrupted
        At Ctrl-C. Called again with the same store, it goes on from there.
    InputError, OSError
        If ``seeds`` is less than one, there is no claim of an id, or the store is none or cannot
        be written.
    """
    if seeds is not None and seeds < 1:
        raise InputError(f"seeds must be 1 or more; got {seeds}.")
    folder = None if data is None else Path(data)
    plans = [
        _planned(claim, claim.size(seeds=seeds, full=full, data=folder))
        for claim in _claims(claims)
    ]
    runs = Runs(_store(store), progress)
    for plan in plans:
        runs.want(plan.cases, plan.claim.id)
    runs.do()
    return [_judged(plan, runs) for plan in plans]


def judge_stored(claim: Claim, size: Size, store: Store) -> Judgement | None:
    """Judge a claim by the runs in a store, or None if one of them is not there; none is run."""
    plan = _planned(claim, size)
    runs = Runs(store, None)
    runs.want(plan.cases, claim.id)
    runs.restore(warn=False)
    if plan.skipped is not None or plan.error is not None or not runs.complete:
        return None
    return _judged(plan, runs)


def _claims(given: object) -> list[Claim]:
    single = isinstance(given, Claim | str)
    wanted = [given] if single else list(given) if isinstance(given, Iterable) else [given]
    found = []
    for each in wanted:
        if not isinstance(each, Claim | str):
            raise InputError(
                "claims must be a claim, an id such as 'arora2019.table1', or several of them; "
                f"got {each!r}."
            )
        found += named([each]) if isinstance(each, str) else [each]
    return found


def _store(given: object) -> Store | None:
    if given is None or isinstance(given, Store):
        return given
    if isinstance(given, str | os.PathLike):
        return Store(given)
    raise InputError(f"store must be a Store or the path of a folder; got {given!r}.")


@dataclass(frozen=True)
class _Plan:
    """The runs of a claim, or why there are none."""

    claim: Claim
    size: Size
    cases: tuple[AbstractCase, ...] = ()
    skipped: str | None = None
    error: Exception | None = None


def _planned(claim: Claim, size: Size) -> _Plan:
    if claim.needs is not None and size.data is None:
        return _Plan(claim, size, skipped=f"skipped: needs {claim.needs}")
    try:
        # By their keys: a case twice is one, and a field that has no place in a key is met here.
        cases = {case.key: case for case in claim.cases(size)}
    except Exception as error:
        return _Plan(claim, size, error=error)
    return _Plan(claim, size, tuple(cases.values()))


def _judged(plan: _Plan, runs: Runs) -> Judgement:
    seconds = sum(runs.done[case.key].seconds for case in plan.cases if case.key in runs.done)

    def ended(sentence: str, finding: Finding | None = None, cause: Exception | None = None):
        return Judgement(plan.claim, plan.size, sentence, finding, seconds, cause)

    failed = [runs.failed[case.key] for case in plan.cases if case.key in runs.failed]
    if plan.skipped is not None:
        return ended(plan.skipped)
    if plan.error is not None:
        return ended(f"not judged: {told(plan.error)}", cause=plan.error)
    if failed:
        some = f"{len(failed)} of {len(plan.cases)} runs failed: {told(failed[0])}"
        return ended(f"not judged: {some}", cause=failed[0])
    began = perf_counter()
    try:
        finding = plan.claim.judge(
            Results([(case, runs.done[case.key].result) for case in plan.cases])
        )
        if not isinstance(finding, Finding):
            raise InputError(
                f"The judge of {plan.claim.id} must return a Finding; it returned {finding!r}. "
                "End it in return Finding(measured=..., checks=...)."
            )
        sentence = verdict(finding.checks)
    except Exception as error:
        return ended(f"not judged: {told(error)}", cause=error)
    seconds += perf_counter() - began
    return ended(sentence, finding)
