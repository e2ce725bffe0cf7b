"""Printing what others wrote: names and messages on one line, whatever they hold."""

from __future__ import annotations

import re

LONGEST = 1000  # characters of a message
ERRNO = re.compile(r"\[Errno -?\d+\] ")  # as Python begins an error of the operating system


def plain(text: object, limit: int = LONGEST) -> str:
    """Write control characters, line breaks, escape sequences and halves of surrogate pairs out as escapes, and cut what is too long."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: limit + 1])
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def message(error: BaseException) -> str:
    """What an error says to a user: one line, in words, without the numbers of the operating system."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return plain(f"{error.filename}: {error.strerror}")
    return plain(ERRNO.sub("", str(error)) or type(error).__name__)


def markup(text: object) -> str:
    """The same for a console of rich: nothing in it counts as markup."""
    from rich.markup import escape

    return escape(plain(text))
