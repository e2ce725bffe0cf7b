"""Safe reading of PyTorch's files, which are zip archives that anyone may have written."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

import torch

from wskan.errors import DataError

# The names that a pickle of tensors in plain containers needs. PyTorch's own list has more. One of them is bytearray,
# which allocates as many bytes as it is asked for.
ALLOWED_NAMES = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch (Float|Double|Half|BFloat16|Long|Int|Bool)Storage"
)
OTHER_MEMBERS = 64  # members that are not tensors; more than enough


def read_archive(path: Path, *, tensors: int, numbers: int) -> object:
    """Read a file that ``torch.save`` wrote.

    No code in the file is run, and no more memory is allocated than such tensors need.

    Args:
        path: the file.
        tensors: how many tensors it may contain, not counting a few scalars.
        numbers: how many numbers they may contain in total.

    Raises:
        DataError: the path is not a regular file, or the file is too large, compressed or damaged, or contains anything
            but numbers, strings and tensors in plain containers.
    """
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        with path.open("rb") as file:
            _check(file, tensors, 16 * numbers + 4096 * (tensors + OTHER_MEMBERS))
            file.seek(0)
            return torch.load(file, weights_only=True, map_location="cpu")
    except ValueError as error:
        raise unreadable(path, str(error)) from error
    except Exception as error:  # a damaged file fails in many ways
        raise unreadable(path, f"it is damaged: {type(error).__name__}") from error


def unreadable(path: Path, reason: str) -> DataError:
    """Make the error for a checkpoint that cannot be read."""
    return DataError(f"{path}: cannot be read ({reason}); delete {path.parent} and run the same command again")


def _check(file: BinaryIO, tensors: int, limit: int) -> None:
    """Raise a ValueError if PyTorch's reader should not be given the file."""
    if (size := file.seek(0, 2)) > limit:
        raise ValueError(f"it has {size:,} bytes, a checkpoint of this model at most {limit:,}")
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":  # PyTorch would try older formats
        raise ValueError("it is not a zip archive")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if (
            len({member.filename.casefold() for member in members}) < len(members)
            or len(members) > tensors + OTHER_MEMBERS
        ):
            raise ValueError(
                f"it has {len(members):,} members: some have the same name, or there are more than tensors"
            )
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, and a checkpoint never is")
        if (size := sum(member.file_size for member in members)) > limit:
            raise ValueError(f"it would inflate to {size:,} bytes, a checkpoint of this model has at most {limit:,}")
        pickles = [member for member in members if member.filename.casefold().endswith("data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > 1024 * (tensors + OTHER_MEMBERS):
            raise ValueError("its list of tensors is missing or too long")
        _check_names(archive.read(pickles[0]))


def _check_names(pickled: bytes) -> None:
    for code, argument, _ in pickletools.genops(pickled):
        named = code.name in ("GLOBAL", "INST", "STACK_GLOBAL")
        if named and not (code.name == "GLOBAL" and ALLOWED_NAMES.fullmatch(str(argument))):
            raise ValueError("it contains something other than numbers, strings and tensors")
