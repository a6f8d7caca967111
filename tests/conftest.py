"""Settings of the whole suite. Double precision is not among them: the library sets its own."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# In the environment, so that the command line's child processes draw without a display too.
os.environ["MPLBACKEND"] = "Agg"

import jax
import pytest
from hypothesis import settings

# Nothing of the tests goes to the user's folder; a second run finds what the first compiled.
_COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ.setdefault("FACTORFLOW_CACHE", str(_COMPILED))

# A broadcast between different ranks is a mistake until somebody writes it out.
jax.config.update("jax_numpy_rank_promotion", "raise")

# No deadline: the first call of a test compiles. The same examples on every run, or new ones.
settings.register_profile("same", deadline=None, max_examples=30, derandomize=True)
settings.register_profile("new", deadline=None, max_examples=30)
settings.load_profile(os.environ.get("FACTORFLOW_EXAMPLES", "same"))


def _is_local(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return _is_loopback(address[0])


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Fail the test that looks up or connects to anything but this machine.

    ``pytest.fail`` raises no ``Exception``, so code that handles network errors cannot hide it.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def local_connect(self: socket.socket, address: Any) -> None:
        if not _is_local(self.family, address):
            pytest.fail(f"the test connects to {address!r}")
        connect(self, address)

    def local_connect_ex(self: socket.socket, address: Any) -> int:
        if not _is_local(self.family, address):
            pytest.fail(f"the test connects to {address!r}")
        return connect_ex(self, address)

    def local_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_loopback(host):
            pytest.fail(f"the test looks up {host!r}")
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_connect)
        patch.setattr(socket.socket, "connect_ex", local_connect_ex)
        patch.setattr(socket, "getaddrinfo", local_getaddrinfo)
        yield
