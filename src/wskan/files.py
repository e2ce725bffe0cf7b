"""Writing files so that nothing that existed is ever lost, and nothing is written elsewhere."""

from __future__ import annotations

import contextlib
import errno
import functools
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

from wskan.errors import DataError, reason

LOCK = ".wskan.lock"  # see wskan.locks
STALE = 3600  # seconds after which a temporary file is nobody's, whoever wrote it
_TEMPORARY = re.compile(r"\..*\.wskan-(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,9})-[0-9a-f]{16}\.tmp", re.DOTALL)
_FORMER = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)  # of earlier versions
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AGAIN = "then run the same command again: what is finished is kept"


def write_atomically(path: Path, write: Callable[[Path], object], *, top: Path | None = None) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: readers see the old file or the new, no part.

    The temporary file is a new one of a name that nobody can guess. Where ``path`` is a link, the link is replaced, and
    what it points to stays as it is.

    Args:
        path: the file.
        write: called with the name of the temporary file, which is empty.
        top: a folder above it. Folders between the two must be real ones, no links that lead elsewhere.

    Raises:
        DataError: the disk is full or may not be written to; what existed is unchanged.
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
    """Refuse to write or delete in a folder that a link below ``top`` leads to.

    Folders may be absent; ``top`` itself may be a link.

    Raises:
        DataError: naming the first that is not a real folder.
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
    """Whether a folder is absent, or holds nothing but what a killed process left half-written.

    Raises:
        DataError: it is a file, or may not be read.
    """
    try:
        return not folder.exists() or all(is_litter_by_name(path.name) for path in folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be used: {reason(error)}; choose another folder") from error


def is_litter_by_name(name: str) -> bool:
    """Whether a file is a lock or a temporary file of this library, going by its name."""
    return name == LOCK or bool(_TEMPORARY.fullmatch(name) or _FORMER.fullmatch(name))


def plainly(error: OSError) -> str:
    """One line of an error that nobody expected: the file, if it names one, and what to do where a disk is full."""
    place = full_temporary_folder(Path.cwd(), error)
    if place is not None:
        return str(_temporary_is_full(place))
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    more = f"; make room, {_AGAIN}" if error.errno in _FULL else ""
    return f"{where}{reason(error)}{more}"


def cannot_write(place: Path, error: OSError) -> DataError:
    """The error to raise where ``place`` could not be written."""
    return DataError(f"could not write {place}: {reason(error)}; make room or choose another folder, {_AGAIN}")


def disk_error(folder: Path, error: OSError) -> DataError:
    """The error to raise where work in ``folder`` failed that also writes to the temporary folder: whichever is full."""
    place = full_temporary_folder(folder, error)
    return cannot_write(folder, error) if place is None else _temporary_is_full(place)


def _temporary_is_full(place: Path) -> DataError:
    return DataError(
        f"the temporary folder {place} is full: make room there, or name another one in the environment variable "
        f"TMPDIR, {_AGAIN}"
    )


def full_temporary_folder(folder: Path, error: OSError) -> Path | None:
    """The temporary folder, if that is what is full, and not ``folder``."""
    if "No usable temporary directory" in str(error):  # Python tries to write to each that it knows
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
    """Bring a new name to the disk. Some systems cannot: there, a power cut may bring the old file back."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(number)
        finally:
            os.close(number)


@functools.cache
def _machine() -> str:
    """Eight digits that name the machine, or container, whose processes a number in a file's name belongs to."""
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
    if os.name != "posix":  # where os.kill would not ask, but kill
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
