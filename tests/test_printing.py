import errno
import os

import pytest

from wskan.errors import DataError
from wskan.printing import LONGEST, markup, message, plain


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\ud800", "a\r\x00\x7f", "\u202egnp", "\x9b31m", "x" * 10**6])
def test_anything_becomes_one_printable_line(text: str) -> None:
    for shown in (plain(text), message(DataError(text)), message(OSError(errno.ENOENT, "No such file", text))):
        assert shown.isprintable()
        assert len(shown) <= LONGEST
        shown.encode()


def test_what_can_be_read_stays_as_it_is() -> None:
    assert plain("zoos/mnist é [2, 32] 😀") == "zoos/mnist é [2, 32] 😀"
    assert plain("a\nb\udcff") == r"a\nb\udcff"


def test_errors_of_the_system_are_told_in_words() -> None:
    error = OSError(errno.EACCES, os.strerror(errno.EACCES), "zoo/x")
    assert message(error) == "zoo/x: Permission denied"
    assert message(DataError(f"could not write x: {error}; make room")) == (
        "could not write x: Permission denied: 'zoo/x'; make room"
    )
    assert message(DataError("")) == "DataError"


@pytest.mark.parametrize("name", ["[/x]", "[bold]", "\\[red]", "[link=http://x]a", "a\n[/]\x1b"])
def test_nothing_in_a_name_is_markup(name: str) -> None:
    from rich.text import Text

    assert Text.from_markup(markup(name)).plain == plain(name)
    assert not Text.from_markup(markup(name)).spans
