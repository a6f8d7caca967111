"""Ctrl-C: the first one ends the run in good order, the second one ends the process."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from factorflow.cli._failures import INTERRUPTED

_SHOW_CURSOR = "\x1b[?25h"


class Interrupts:
    """While entered, Ctrl-C raises KeyboardInterrupt, but in a flow only between two of its steps.

    So a flow keeps what it has come to: an exception in the midst of compiled code would not. A
    second Ctrl-C ends the process at once, even while something is being compiled: signals are
    read by a thread, since the main thread sees them only when compiled code returns.

    Attributes
    ----------
    asked
        Whether Ctrl-C was pressed.
    """

    def __init__(self):
        self.asked = False
        self._in_flow = self._raised = False

    def __enter__(self) -> "Interrupts":
        # Only the main thread of a process may handle signals.
        self._active = threading.current_thread() is threading.main_thread()
        if self._active:
            self._listening, self._signalled = socket.socketpair()
            self._signalled.setblocking(False)
            threading.Thread(target=self._listen, daemon=True).start()
            self._old_pipe = signal.set_wakeup_fd(self._signalled.fileno())
            self._old_handler = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._old_handler)
            signal.set_wakeup_fd(self._old_pipe)
            self._signalled.close()

    @contextmanager
    def flow(self) -> Iterator[None]:
        """Block in which Ctrl-C waits for :meth:`between_steps`."""
        self._in_flow, self._raised = True, False
        try:
            yield
        finally:
            self._in_flow = False

    def between_steps(self, progress: dict) -> None:
        """Raise KeyboardInterrupt if it was asked for; a ``progress`` function of ``solve``.

        Not before the first step: until then the run has nothing to keep. And once in a flow: the
        run may report again where it ended.
        """
        if self.asked and progress["step"] > 0 and not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    def end_if_asked(self) -> None:
        """Raise KeyboardInterrupt if it was asked for."""
        if self.asked:
            raise KeyboardInterrupt

    def _on_signal(self, *_) -> None:
        self.asked = True
        if not self._in_flow:
            raise KeyboardInterrupt

    def _listen(self) -> None:
        times = 0
        with self._listening:
            while received := self._listening.recv(1):
                times += received[0] == signal.SIGINT
                if times == 1:
                    print("Stopping; Ctrl-C once more ends at once.", file=sys.stderr, flush=True)
                elif times == 2:
                    if sys.stderr.isatty():
                        print(_SHOW_CURSOR, end="", file=sys.stderr, flush=True)
                    os._exit(INTERRUPTED)
