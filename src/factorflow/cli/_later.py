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


def import_later(package: str, part: str) -> None:
    """Let ``import package.part`` cost nothing until the part is used.

    scikit-learn imports ``scipy.stats`` and ``scipy.special`` with every estimator: hundreds of
    modules, a fifth of what ``factorflow complete`` imports, for functions that it does not call
    there. SciPy itself takes everything of NumPy, ``numpy.f2py`` included.
    """
    name = f"{package}.{part}"
    if name not in sys.modules:
        sys.modules[name] = _Later(name)
        setattr(importlib.import_module(package), part, sys.modules[name])
