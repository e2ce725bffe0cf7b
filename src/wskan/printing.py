"""Print untrusted names and messages safely, on one line."""

from __future__ import annotations

import re

LONGEST = 1000  # characters of a message
ERRNO = re.compile(r"\[Errno -?\d+\] ")  # how Python begins an error of the operating system


def plain(text: object, limit: int = LONGEST) -> str:
    """Escape everything that cannot be printed and cut the text to ``limit`` characters.

    Control characters, line breaks, escape sequences and halves of surrogate pairs become visible escapes.
    """
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: limit + 1])
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def message(error: BaseException) -> str:
    """Return the message of an error for a user: one line, in words, without error numbers."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return plain(f"{error.filename}: {error.strerror}")
    return plain(ERRNO.sub("", str(error)) or type(error).__name__)


def markup(text: object) -> str:
    """Return :func:`plain` text for a rich console, in which nothing counts as markup."""
    from rich.markup import escape

    return escape(plain(text))
