"""The command ``wskan``, which turns errors and interrupts into one clear line."""

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

BROKEN_PIPE_STATUS = 128 + 13  # as a shell reports SIGPIPE


def main(args: Sequence[str] | None = None) -> None:
    """Learn from the weights of Kolmogorov-Arnold networks. `wskan --version` prints the version."""
    if list(sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"wskan {__version__}")
        return
    with interrupts(last=args is None) as arrived:  # before the imports, which take most of a second
        try:
            from wskan.cli.commands import parse

            command = parse(args, main.__doc__)
            with warnings.catch_warnings():
                warnings.showwarning = _note  # type: ignore[assignment]
                command.run()
                _flush()
        except BaseException as error:
            if arrived.number is not None or isinstance(error, KeyboardInterrupt):  # libraries may raise another error
                _exit_interrupted(arrived.number or signal.SIGINT)
            if _is_broken_pipe(error):
                _exit_silently()
            if isinstance(error, WSKANError | OSError | MemoryError):
                _fail(error)
            raise


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, MemoryError):
        _say("not enough memory; use smaller batches or fewer KANs")
    else:
        from wskan.files import plainly  # imported late, so that interrupts are handled as early as possible

        _say(plain(plainly(error)) if isinstance(error, OSError) else message(error))
    sys.exit(2)


def _exit_interrupted(number: int) -> NoReturn:
    _say("interrupted; finished work is kept, run the same command again to resume")
    sys.exit(128 + number)


def _flush() -> None:
    if sys.stdout:  # None if it was closed before Python started
        sys.stdout.flush()


def _is_broken_pipe(error: BaseException) -> bool:
    """Return whether the error, or writing the rest of the output, is a broken pipe. Rich turns one into SystemExit."""
    try:
        _flush()
    except OSError as flush_error:
        return isinstance(flush_error, BrokenPipeError)
    return isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError)


def _exit_silently() -> NoReturn:
    """End as if by SIGPIPE, because the reader of the output is gone (``wskan ... | head``)."""
    with contextlib.suppress(OSError, ValueError):  # otherwise Python reports that it cannot flush at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(BROKEN_PIPE_STATUS)


def _note(warning: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"note: {plain(warning)}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal is gone
        print(f"wskan: {text}", file=sys.stderr)
