"""Packages that others import and that a command may never use."""

import importlib
import sys
from types import ModuleType


class _Later(ModuleType):
    """Stands for a module until something is asked of it, and then makes way for it."""

    def __getattr__(self, name: str):
        # Python looks at many a module's other names in passing; the path is for what lies in it.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_later(name: str) -> None:
    """Let ``import name`` cost nothing until the module is used.

    A package that is not loaded yet must take its part by ``from``, or only when it is asked for
    it.
    """
    if name in sys.modules:
        return
    sys.modules[name] = _Later(name)
    package, _, part = name.rpartition(".")
    if package in sys.modules:  # else it finds its part as it is imported itself
        setattr(sys.modules[package], part, sys.modules[name])
