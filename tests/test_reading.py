import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from wskan.errors import DataError
from wskan.reading import boolean, mapping, number, read_bytes, read_json, shown, text, whole


def test_what_is_within_the_limit_is_read(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"x" * 100)
    link.symlink_to(path)
    assert read_bytes(path, 100) == read_bytes(link, 100) == b"x" * 100
    with pytest.raises(DataError, match=r"more than 99 bytes.*fetch it"):
        read_bytes(path, 99, "fetch it")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "sparse", "link to a device", "process"])
def test_what_is_no_file_of_a_bounded_size_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(2**40)
    elif kind == "process":  # says that it has 0 bytes
        path = Path("/proc/self/maps")
    found: list[BaseException] = []

    def read() -> None:
        try:
            read_bytes(path, 10)
        except DataError as error:
            found.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert len(found) == 1
    assert str(path) in str(found[0])
    assert "Errno" not in str(found[0])


BAD = {
    "not JSON": "{",
    "no text": b"\xff{}",
    "huge number": '{"a": 1%s}' % ("0" * 400),
    "number that hangs": '{"a": 1%s}' % ("0" * 5000),
    "infinite": '{"a": 1e999}',
    "nan": '{"a": NaN}',
    "twice": '{"a": 1, "a": 2}',
    "deep": "[" * 40 + "]" * 40,
    "very deep": "[" * 400_000,
    "half a pair": '{"a": "\\ud800"}',
    "half a pair in a key": '{"\\udfff": 1}',
    "lists": "[" + "[]," * 100_000 + "[]]",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_plain_json_is_refused(tmp_path: Path, kind: str) -> None:
    path, content = tmp_path / "x.json", BAD[kind]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        read_json(path, 2**20, "get it again")
    assert str(error.value).startswith(f"{path}: not JSON that wskan reads (")
    assert str(error.value).endswith("; get it again")
    assert len(str(error.value).splitlines()) == 1


def test_plain_types_come_back(tmp_path: Path) -> None:
    path, data = tmp_path / "x.json", {"a": [1, -2.5, None, True, "é😀\u2028", {}], "b": 2**63 - 1}
    path.write_text(json.dumps(data))
    assert read_json(path, 1000) == data
    path.write_text('{"a": NaN, "b": -Infinity}')
    assert read_json(path, 1000, infinite=True)["b"] == float("-inf")


@pytest.mark.parametrize(
    "value", [10**400, float("nan"), float("inf"), -1, True, "1", None, [1], {"a": 1}, 10**5000], ids=range(10)
)
def test_values_are_refused_by_name(value: Any) -> None:
    for check in (lambda: whole(value, "x: epochs", 0, 10), lambda: number(value, "x: epochs", 0, 10)):
        with pytest.raises(DataError, match=r"^x: epochs must be a ") as error:
            check()
        assert len(str(error.value)) < 300


def test_values_in_range() -> None:
    assert whole(3, "n", 0, 3) == 3
    assert number(2.5, "n", 0, 3) == number(2, "n", 0, 3) + 0.5
    assert boolean(True, "n")
    assert text("é", "n") == "é"
    assert mapping({"a": 1}, "n", {"a"}) == {"a": 1}
    for check in (
        lambda: whole(2.0, "n", 0, 3),
        lambda: boolean(1, "n"),
        lambda: text("a\nb", "n"),
        lambda: text("\ud800", "n"),
        lambda: text("a" * 300, "n"),
        lambda: mapping([], "n"),
        lambda: mapping({"b": 1}, "n", {"a"}),
    ):
        with pytest.raises(DataError, match=r"^n must "):
            check()
    endless: list[Any] = []
    endless.append(endless)
    assert len(shown("x" * 10**6)) == 100
    assert shown(endless)


@pytest.mark.parametrize("part", ["0,", '"ab",', "[],"])
def test_many_small_values_are_refused_before_they_take_memory(tmp_path: Path, part: str) -> None:
    path, limit = tmp_path / "x", 2**20
    path.write_text(f"[{part * 20_000}0]")
    with pytest.raises(DataError, match="too many"):
        read_json(path, limit)
    path.write_text(f"[{part * 5_000}0]")
    assert len(read_json(path, limit)) == 5_001
