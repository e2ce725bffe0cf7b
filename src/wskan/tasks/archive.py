"""PyTorch's files, read as what they are: a zip archive that anyone may have written."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch

from wskan.errors import DataError

# What names tensors in plain containers. PyTorch's own list has more, as bytearray, which allocates whatever it is asked for.
KNOWN = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch (Float|Double|Half|BFloat16|Long|Int|Bool)Storage"
)
OTHERS = 64  # members beside tensors, and more than enough


def read_archive(path: Path, *, tensors: int, numbers: int) -> object:
    """Read a file that ``torch.save`` wrote, without running any code of its and without allocating more than was asked for.

    Args:
        path: the file.
        tensors: how many tensors it may hold, some scalars aside.
        numbers: how many numbers they may have together.

    Raises:
        DataError: it is not a regular file, larger than such tensors, compressed, damaged, or holds anything but numbers, texts and tensors in plain containers.
    """
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        with path.open("rb") as file:
            _check(file, tensors, 16 * numbers + 4096 * (tensors + OTHERS))
            file.seek(0)
            return torch.load(file, weights_only=True, map_location="cpu")
    except ValueError as error:
        raise unreadable(path, str(error)) from error
    except Exception as error:  # a damaged file fails in many ways
        raise unreadable(path, f"it is damaged: {type(error).__name__}") from error


def unreadable(path: Path, reason: str) -> DataError:
    """Make the error of a checkpoint."""
    return DataError(f"{path}: cannot be read ({reason}); delete {path.parent} and run the same command again")


def _check(file: BinaryIO, tensors: int, limit: int) -> None:
    """Refuse, with a ValueError, what PyTorch's reader should not be given."""
    if (size := file.seek(0, 2)) > limit:
        raise ValueError(f"it has {size:,} bytes, a checkpoint of this model at most {limit:,}")
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":  # PyTorch would go on to formats that are older
        raise ValueError("it is not a zip archive")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len({member.filename.casefold() for member in members}) < len(members) or len(members) > tensors + OTHERS:
            raise ValueError(f"it has {len(members):,} members, some of one name or more than there are tensors")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, which no checkpoint is")
        if (size := sum(member.file_size for member in members)) > limit:
            raise ValueError(f"it would inflate to {size:,} bytes, a checkpoint of this model has at most {limit:,}")
        pickles = [member for member in members if member.filename.casefold().endswith("data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > 1024 * (tensors + OTHERS):
            raise ValueError("it has no list of tensors, or too long a one")
        _check_names(archive.read(pickles[0]))


def _check_names(pickled: bytes) -> None:
    for code, argument, _ in pickletools.genops(pickled):
        named = code.name in ("GLOBAL", "INST", "STACK_GLOBAL")
        if named and not (code.name == "GLOBAL" and KNOWN.fullmatch(str(argument))):
            raise ValueError("it holds something else than numbers, texts and tensors")
