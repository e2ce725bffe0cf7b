"""The cache of compiled code: what is damaged is compiled again, once; what cannot be is told, once."""

import ctypes
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from wskan.kan import KANSpec, kernel
from wskan.native import build as native

pytestmark = pytest.mark.skipif(kernel.unavailable(KANSpec(widths=(2, 1))) is not None, reason="no C++ compiler")

CODE = 'extern "C" int wskan_seven() { return 7; }\n'
LOAD = """
import sys
from pathlib import Path
from wskan.native import load_library
library = load_library(Path(sys.argv[1]))
print(library if isinstance(library, str) else library.wskan_seven())
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSKAN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "code" / "seven.cpp"
    path.parent.mkdir()
    path.write_text(CODE)
    return path


def load(source: Path) -> object:
    native.load_library.cache_clear()
    library = native.load_library(source)
    return library if isinstance(library, str) else library.wskan_seven()


def cached(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "kernels").glob("*.so")
    return path


def start(source: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", LOAD, str(source)], stdout=subprocess.PIPE, text=True)


def test_a_damaged_library_is_compiled_again(source: Path, tmp_path: Path) -> None:
    assert load(source) == 7
    path = cached(tmp_path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damage in (b"", whole[: len(whole) // 2], bytes(flipped), b"x" * len(whole)):
        path.unlink()  # this process may have it mapped
        path.write_bytes(damage)
        process = start(source)
        assert (process.communicate()[0], process.returncode) == ("7\n", 0)
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}.sha256"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_library_that_is_a_pipe_is_compiled_again(source: Path, tmp_path: Path) -> None:
    assert load(source) == 7
    path = cached(tmp_path)
    path.unlink()
    os.mkfifo(path)
    process = start(source)
    assert (process.communicate(timeout=120)[0], process.returncode) == ("7\n", 0)


def test_what_cannot_be_compiled_again_is_told_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(source) == 7
    path = cached(tmp_path)
    path.unlink()
    path.write_bytes(b"")
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.warns(RuntimeWarning, match="is damaged") as told:
        assert "no working C++ compiler" in str(load(source))
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(source)


def test_litter_of_killed_compiles_is_removed(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "kernels"
    new, old, fresh, foreign = (cache / name for name in ("build-x1y2z3", "tmpabcd_012", "tmpabcd_013", "notes"))
    for folder in (new, old, fresh, foreign):
        folder.mkdir(parents=True)
        (folder / "half.o").write_text("")
    (cache / "build-link").symlink_to(foreign)
    os.utime(old, (1, 1))
    assert load(source) == 7
    assert not new.exists()
    assert not old.exists()
    assert fresh.exists()  # of an older version that may be at work
    assert (foreign / "half.o").exists()


def test_processes_wait_for_the_one_that_compiles(source: Path, tmp_path: Path) -> None:
    processes = [start(source) for _ in range(3)]
    assert [process.communicate()[0] for process in processes] == ["7\n"] * 3
    assert len(list((tmp_path / "cache" / "kernels").iterdir())) == 2


def test_a_full_temporary_folder_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("Error building extension: cannot write: No space left on device")

    monkeypatch.setattr(native, "_compile", full)
    monkeypatch.setattr(native.tempfile, "gettempdir", lambda: "/tiny")
    room = {Path("/tiny"): 0, tmp_path / "cache" / "kernels": 10**9}
    monkeypatch.setattr(native.shutil, "disk_usage", lambda place: type("", (), {"free": room[place]}))
    assert str(load(source)).startswith("C++ cannot be compiled here: /tiny is full: make room there")
    assert "TMPDIR" in str(load(source))


def test_a_library_that_does_not_load_is_compiled_again(source: Path, tmp_path: Path) -> None:
    assert load(source) == 7
    path = cached(tmp_path)
    path.unlink()
    path.write_bytes(b"no library, but with the right checksum")
    native.write_atomically(
        native._checksum_path(path), lambda to: to.write_text(native.hashlib.sha256(path.read_bytes()).hexdigest())
    )
    process = start(source)
    assert process.communicate()[0] == "7\n"
    assert isinstance(ctypes.CDLL(str(path)).wskan_seven(), int)
