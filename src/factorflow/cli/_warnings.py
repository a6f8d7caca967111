"""Warnings as lines, each said once."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from factorflow._errors import FactorflowWarning


@contextmanager
def warnings_said(say: Callable[[str], None]) -> Iterator[None]:
    """Block in which each warning of this package becomes a line ``warning: ...``."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", FactorflowWarning)
        otherwise = warnings.showwarning

        def show(message, category, *where, **more):
            if not issubclass(category, FactorflowWarning):
                otherwise(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                say(f"warning: {message}")

        warnings.showwarning = show
        yield
