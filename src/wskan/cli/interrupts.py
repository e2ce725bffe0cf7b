"""Ctrl-C, SIGTERM and SIGHUP as KeyboardInterrupt in the main thread, without losing any."""

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
RETRY_SECONDS = 0.05  # until an interrupt that was held back comes again
ECHO_SECONDS = 1.0  # a second signal within this time is the same one, sent to the process and to its group


class Interrupts:
    """The signals that arrived.

    Attributes:
        number: number of the last signal; None if there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._last = -ECHO_SECONDS

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt.

        A signal that arrives twice raises once, so that cleaning up is not interrupted. During an import the signal is
        held back, because libraries that are half loaded may abort.

        Raises:
            KeyboardInterrupt: unless the signal is an echo or is held back.
        """
        self.number = number
        if _importing(frame):
            self.later(number)
            return
        if time.monotonic() - self._last < ECHO_SECONDS:
            return
        self._last = time.monotonic()
        raise KeyboardInterrupt

    def later(self, number: int) -> None:
        """Send the signal again after a short time."""
        timer = threading.Timer(RETRY_SECONDS, self._again, [number])
        timer.daemon = True
        timer.start()

    def _again(self, number: int) -> None:
        if signal.getsignal(number) == self.handle:  # signals are still handled here
            self._last = -ECHO_SECONDS
            os.kill(os.getpid(), number)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def interrupts(*, last: bool = False) -> Iterator[Interrupts]:
    """Handle signals of the main thread.

    Signals that are ignored (``nohup``) stay ignored. An interrupt during a destructor, which swallows exceptions, is
    sent again.

    Args:
        last: ignore signals afterwards, while Python ends.

    Yields:
        The signals that arrived.
    """
    arrived = Interrupts()
    if threading.current_thread() is not threading.main_thread():  # other threads get no signals
        yield arrived
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if isinstance(args.exc_value, KeyboardInterrupt):
            arrived.later(arrived.number or signal.SIGINT)
        else:
            hook(args)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, arrived.handle)
    sys.unraisablehook = unraisable
    try:
        yield arrived
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            if handler is not None:  # None: not installed by Python, left unchanged
                signal.signal(number, signal.SIG_IGN if last else handler)
