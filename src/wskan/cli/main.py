"""``wskan``: parse, run, and turn every error that was raised on purpose, and every interruption, into one clear line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from wskan import __version__
from wskan.cli.interrupts import interrupts
from wskan.errors import WSKANError
from wskan.printing import message, plain


def main(args: Sequence[str] | None = None) -> None:
    """Learn from the weights of Kolmogorov-Arnold networks. `wskan --version` prints the version."""
    if list(sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"wskan {__version__}")
        return
    with interrupts(last=args is None) as found:  # from the first moment: imports take most of a second
        try:
            from wskan.cli.commands import parse

            command = parse(args, main.__doc__)
            with warnings.catch_warnings():
                warnings.showwarning = _note  # type: ignore[assignment]
                command.run()
        except BaseException as error:
            if found.number is not None or isinstance(error, KeyboardInterrupt):  # which may have turned into another
                _end(found.number or signal.SIGINT)
            if isinstance(error, WSKANError | OSError | MemoryError):
                _fail(error)
            raise


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, BrokenPipeError):  # nobody reads any more: let the end of Python not complain of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, MemoryError):
        _say("not enough memory; ask for less at once")
    else:
        from wskan.files import plainly  # what it imports takes the time in which an interrupt would find no handler

        _say(plain(plainly(error)) if isinstance(error, OSError) else message(error))
    sys.exit(2)


def _end(number: int) -> NoReturn:
    _say("interrupted; what is finished is kept, and the same command goes on from there")
    sys.exit(128 + number)


def _note(warning: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"note: {plain(warning)}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a terminal that is gone
        print(f"wskan: {text}", file=sys.stderr)
