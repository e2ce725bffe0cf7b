"""Ctrl-C, SIGTERM and SIGHUP as one exception in the main thread, and none of them lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PAUSE = 0.05  # seconds until an interrupt comes again
ECHO = 1.0  # seconds in which the same wish may come twice, to the process and to its group


class Interrupts:
    """What came in.

    Attributes:
        number: of the signal, None if there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._last = -ECHO

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt: once for what comes twice, for what is being cleaned up is not to be interrupted, and after an import, for libraries that are half loaded may abort."""
        self.number = number
        if _importing(frame):
            self.later(number)
            return
        if time.monotonic() - self._last < ECHO:
            return
        self._last = time.monotonic()
        raise KeyboardInterrupt

    def later(self, number: int) -> None:
        """Let the signal come again in a moment."""
        timer = threading.Timer(PAUSE, self._again, [number])
        timer.daemon = True
        timer.start()

    def _again(self, number: int) -> None:
        if signal.getsignal(number) == self.handle:  # not over yet
            self._last = -ECHO
            os.kill(os.getpid(), number)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def interrupts(*, last: bool = False) -> Iterator[Interrupts]:
    """Handle signals of the main thread; those that are ignored (``nohup``) stay so. An interrupt that hits a destructor, which swallows it, comes again a moment later.

    Args:
        last: the process ends afterwards: what comes in while Python ends, with everything done and said, is ignored.
    """
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():  # which alone gets any
        yield found
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if isinstance(args.exc_value, KeyboardInterrupt):
            found.later(found.number or signal.SIGINT)
        else:
            hook(args)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, found.handle)
    sys.unraisablehook = unraisable
    try:
        yield found
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            if handler is not None:  # not Python's: left as it is
                signal.signal(number, signal.SIG_IGN if last else handler)
