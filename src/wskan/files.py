"""Atomic writes that never lose an existing file and never write outside the given folder."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wskan.errors import DataError, reason

LOCK = ".wskan.lock"  # see wskan.locks
STALE = 3600  # seconds after which a temporary file is abandoned, whichever process wrote it
_TEMPORARY = re.compile(r"\..*\.wskan-(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,9})-[0-9a-f]{16}\.tmp", re.DOTALL)
_FORMER = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)  # temporary files of earlier versions
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AGAIN = "then run the same command again: finished work is kept"


def write_atomically(path: Path, write: Callable[[Path], object], *, top: Path | None = None) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then rename it.

    Readers see the old file or the new one, never a part. The temporary file is new and has an unpredictable name. If
    ``path`` is a link, the link is replaced and its target stays as it is.

    Args:
        path: the file.
        write: called with the name of the temporary file, which is empty.
        top: a folder above it. The folders between the two must be real, not links.

    Raises:
        DataError: the disk is full or not writable. Existing files are unchanged.
    """
    temporary = path.with_name(f".{path.name[:40]}.wskan-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    created = False
    try:
        if top is not None:
            check_inside(top, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(path.parent)
        os.close(os.open(temporary, _NEW, 0o666))
        created = True
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        created = False
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if created:
            with contextlib.suppress(OSError):
                temporary.unlink()


def check_inside(top: Path, folder: Path) -> None:
    """Raise if the path from ``top`` down to ``folder`` leads through a link.

    Folders may be absent, and ``top`` itself may be a link.

    Raises:
        DataError: a link or a file is in the way. The message names the first one.
    """
    place = top
    for name in folder.relative_to(top).parts:
        place = place / name
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(place, error) from error
        if not stat.S_ISDIR(mode):
            what = "is a link" if stat.S_ISLNK(mode) else "is not a folder"
            raise DataError(f"{place} {what}, and nothing is written through it: put a real folder there, or remove it")


def remove_litter(folder: Path, *inside: str) -> None:
    """Remove temporary files that killed processes of this user left in a folder, and in real folders inside it."""
    for name in inside:
        if not (folder / name).is_symlink():
            remove_litter(folder / name)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if _is_litter(entry, match["machine"], int(match["pid"])):
                        os.unlink(entry.path)


def is_empty_folder(folder: Path) -> bool:
    """Return whether a folder is absent, or holds only leftovers of killed processes.

    Raises:
        DataError: it is a file or cannot be read.
    """
    try:
        return not folder.exists() or all(is_litter_by_name(path.name) for path in folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be used: {reason(error)}; choose another folder") from error


def is_litter_by_name(name: str) -> bool:
    """Return whether a name is that of a lock or a temporary file of this library."""
    return name == LOCK or bool(_TEMPORARY.fullmatch(name) or _FORMER.fullmatch(name))


def digest(value: Any, digits: int) -> str:
    """Return hexadecimal digits that identify a value of JSON types in file names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:digits]


def plainly(error: OSError) -> str:
    """Describe an unexpected error in one line: the file, the reason, and what to do if a disk is full."""
    place = full_temporary_folder(Path.cwd(), error)
    if place is not None:
        return str(_temporary_is_full(place))
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    more = f"; make room, {_AGAIN}" if error.errno in _FULL else ""
    return f"{where}{reason(error)}{more}"


def cannot_write(place: Path, error: OSError) -> DataError:
    """Build the error to raise if ``place`` could not be written."""
    return DataError(f"could not write {place}: {reason(error)}; make room or choose another folder, {_AGAIN}")


def disk_error(folder: Path, error: OSError) -> DataError:
    """Build the error to raise if work in ``folder`` or in the temporary folder failed, whichever is full."""
    place = full_temporary_folder(folder, error)
    return cannot_write(folder, error) if place is None else _temporary_is_full(place)


def _temporary_is_full(place: Path) -> DataError:
    return DataError(
        f"the temporary folder {place} is full: make room there, or set the environment variable TMPDIR to another "
        f"folder, {_AGAIN}"
    )


def full_temporary_folder(folder: Path, error: OSError) -> Path | None:
    """Return the temporary folder if that is full rather than ``folder``; otherwise None."""
    if "No usable temporary directory" in str(error):  # Python has tried to write to each candidate
        return Path(os.environ.get("TMPDIR", "/tmp"))
    if error.errno not in _FULL:
        return None
    try:
        place = Path(tempfile.gettempdir())
        if error.filename is not None:
            return place if Path(os.fsdecode(error.filename)).is_relative_to(place) else None
        other = place.stat().st_dev != folder.stat().st_dev
        return place if other and shutil.disk_usage(place).free < shutil.disk_usage(folder).free else None
    except OSError:
        return None


def _sync_folder(folder: Path) -> None:
    """Flush a new name to the disk. On systems that cannot do this, a power cut may bring back the old file."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(number)
        finally:
            os.close(number)


@functools.cache
def _machine() -> str:
    """Return eight digits that identify the machine or container to which the process number in a file name belongs."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return f"{zlib.crc32(f'{platform.node()} {processes}'.encode()):08x}"


def _is_litter(entry: os.DirEntry[str], machine: str, pid: int) -> bool:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        return False
    return time.time() - found.st_mtime > STALE or (machine == _machine() and _is_dead(pid))


def _is_dead(pid: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill would end the process instead of testing for it
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
