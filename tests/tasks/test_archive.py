"""Files that are no checkpoints, read before PyTorch sees them."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import go_on

from wskan.errors import DataError
from wskan.zoo import Zoo


class Call:
    """Something that a pickle calls when it is read."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**26)


def lying(path: Path) -> None:
    """Sixty gigabytes, the archive says."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
        for number in range(60):
            archive.writestr(f"archive/data/{number}", b"")
        for member in archive.infolist()[1:]:
            member.file_size = 2**30


def two_lists(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/DATA.PKL", b"")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "compressed": (bomb, "it is compressed"),
    "a size": (lying, "it would inflate to"),
    "two lists": (two_lists, "some have the same name"),
    "sparse": (sparse, "bytes, a checkpoint of this model at most"),
    "FIFO": (fifo, "not a regular file"),
    "device": (device, "not a regular file"),
    "folder": (folder, "not a regular file"),
    "cut": (cut, "it is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "not a zip archive"),
    "older": (lambda path: torch.save({"a": 1}, path, _use_new_zipfile_serialization=False), "not a zip archive"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Call(os.system, "exit 1"))), "not a zip archive"),
    "code": (lambda path: torch.save({"a": Call(os.system, "exit 1")}, path), "something other than numbers"),
    "bytearray": (lambda path: torch.save({"a": Call(bytearray, 2**45)}, path), "something other than numbers"),
    "Tensor": (lambda path: torch.save({"a": Call(torch.Tensor, 2**45)}, path), "something other than numbers"),
    "list": (lambda path: torch.save([1], path), "not a checkpoint"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("which", ["last.ckpt", "best.ckpt"])
def test_files_that_are_no_checkpoints_are_told_in_one_line(zoo: Zoo, run: Path, name: str, which: str) -> None:
    attack, reason = ATTACKS[name]
    attack(run / "checkpoints" / which)
    with pytest.raises(DataError, match=rf"^[^\n]*{which}: cannot be read \([^\n]*{reason}[^\n]*same command again$"):
        go_on(zoo, run)
