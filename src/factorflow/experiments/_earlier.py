"""Which claims were judged in a folder, so that its page shows all of them."""

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factorflow._errors import FactorflowWarning
from factorflow._files import write_json
from factorflow.experiments._claim import Size
from factorflow.experiments._registry import claims
from factorflow.experiments._reproduce import Judgement, judge_stored
from factorflow.experiments._store import Store

RECORD = "claims.json"
_FORMAT = 1


def with_earlier(
    folder: str | os.PathLike, judgements: Sequence[Judgement], store: Store
) -> tuple[list[Judgement], list[str]]:
    """Judgements with those of claims that were judged in the folder before.

    The claims and their sizes stand in the file ``claims.json`` of the folder, which is written
    anew with those judged now. Earlier claims, and those skipped now, are judged again from their
    runs in the store; none is run.

    Parameters
    ----------
    folder
        Folder of the page.
    judgements
        What was judged now.
    store
        The runs.

    Returns
    -------
    list of Judgement
        All, in the order of ``factorflow.experiments.claims()``; others come last.
    list of str
        A sentence for each earlier claim that is left out, since it is no longer known or not all
        of its runs are in the store.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = Path(folder) / RECORD
    sizes = _read(path)
    now = {each.claim.id: each for each in judgements}
    known = {claim.id: claim for claim in claims()}
    found, left_out = dict(now), []
    for name in [name for name in sizes if name not in now or now[name].word == "skipped"]:
        claim = known.get(name)
        judged = None if claim is None else judge_stored(claim, sizes[name], store)
        if judged is not None:
            found[name] = judged
        elif name not in now:
            reason = "there is no such claim now" if claim is None else "its runs are not all there"
            left_out.append(f"{name} was judged here before and is left out, since {reason}.")
    sizes |= {name: each.size for name, each in now.items() if each.finding is not None}
    write_json(path, {"format": _FORMAT, "claims": [_entry(*item) for item in sizes.items()]})
    order = [name for name in known if name in found]
    order += [name for name in found if name not in known]
    return [found[name] for name in order], left_out


def _read(path: Path) -> dict[str, Size]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError("another format")
        return {entry["id"]: _size(entry) for entry in content["claims"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError):
        text = f"{path} is no list of judged claims and is replaced; the page shows those of now."
        warnings.warn(text, FactorflowWarning, stacklevel=3)
        return {}


def _size(entry: dict[str, Any]) -> Size:
    data = entry["data"]
    return Size(int(entry["seeds"]), bool(entry["full"]), None if data is None else Path(data))


def _entry(name: str, size: Size) -> dict[str, Any]:
    data = None if size.data is None else size.data.resolve()
    return {"id": name, "seeds": size.seeds, "full": size.full, "data": data}
