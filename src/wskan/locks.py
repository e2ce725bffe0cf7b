"""Locks on folders: one process works at a time, and the error for others names it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shlex
import stat
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from wskan.errors import DataError, reason
from wskan.files import LOCK, cannot_write, check_inside, remove_litter

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PATIENCE = 3.0  # seconds; helpers of a killed process end within one second
_OPEN = os.O_RDWR | os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))
_MOST = 4096  # bytes read from the description of the holder
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextlib.contextmanager
def hold(folder: Path, what: str, *, inside: Sequence[str] = (), patience: float = PATIENCE) -> Iterator[None]:
    """Lock a folder against other processes and remove what killed processes left half-written in it.

    The folder is created if absent. The lock is a system lock (``flock``) on a file that exists only while it is held.
    So a process that has died holds no lock. Readers do not need it.

    Args:
        folder: the folder, which may be a link.
        what: the work done there, for the message to others: "a zoo is built".
        inside: folders in it that will be written to; they must be real or absent.
        patience: seconds to wait for another process to end.

    Raises:
        DataError: another process works there, a link stands where a folder has to be, or the disk is full or not
            writable.
    """
    for name in inside:
        check_inside(folder, folder / name)
    try:
        created = not folder.exists()
        number = _lock(folder, what, time.monotonic() + patience)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        remove_litter(folder, *inside)
        yield
    finally:
        with contextlib.suppress(OSError):
            if _is_at(number, folder / LOCK):
                (folder / LOCK).unlink()
        os.close(number)
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is still empty


def sweep(folder: Path, *inside: str) -> None:
    """Clear a finished folder of what killed processes left: temporary files, and a lock that nobody holds.

    Nothing happens where another process works or where the folder may not be written to.

    Args:
        folder: it holds something finished.
        inside: folders in it that are cleared as well.
    """
    if not os.path.lexists(folder / LOCK):
        remove_litter(folder, *inside)
        return
    with contextlib.suppress(DataError), hold(folder, "leftovers are removed", inside=inside, patience=0):
        pass


def _lock(folder: Path, what: str, until: float) -> int:
    """Return the descriptor of the lock file, once it is locked."""
    path = folder / LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = _open(path)
        except FileNotFoundError:  # another process has just ended and removed the folder that it created
            if time.monotonic() > until:
                raise
            continue
        try:
            locked = _try(number, folder)
            if locked and _is_at(number, path):  # its holder may have removed the file in the meantime
                _sign(number, what)
                return number
            if not locked and time.monotonic() > until:
                raise DataError(f"{folder} is in use: {_holder(number)}; wait for it to end, or choose another folder")
        except BaseException:
            os.close(number)
            raise
        os.close(number)
        if not locked:
            time.sleep(0.05)


def _open(path: Path) -> int:
    try:
        number = os.open(path, _OPEN, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise DataError(f"{path} is not a lock file ({reason(error)}); remove it") from error
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:  # a hard link
        os.close(number)
        raise DataError(f"{path} is not a lock file; remove it")
    return number


def _try(number: int, folder: Path) -> bool:
    """Try to take the lock and return whether it is ours; warn if the system has no locks."""
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "this system has no flock")
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(f"{folder} cannot be locked ({reason(error)}): run only one process in it", stacklevel=5)
    return True


def _is_at(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.lstat())
    except FileNotFoundError:
        return False


def _sign(number: int, what: str) -> None:
    """Write who holds the lock into its file; on a full disk, the file stays empty."""
    command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]] if sys.argv else [])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    facts = {"pid": os.getpid(), "host": platform.node(), "since": since, "what": what, "command": command[:500]}
    with contextlib.suppress(OSError, AttributeError):  # Windows has no pwrite
        os.ftruncate(number, 0)
        os.pwrite(number, json.dumps(facts).encode()[:_MOST], 0)


def _holder(number: int) -> str:
    """Describe the holder from the lock file, whose content is not trusted."""
    try:
        facts = json.loads(os.pread(number, _MOST, 0))
        pid, host, since, what, command = (_plain(facts[name]) for name in ("pid", "host", "since", "what", "command"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process is working there"
    return f"{what} by process {pid} on {host} since {since} ({command})"


def _plain(value: object) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[:200])
    return text.encode("ascii", "replace").decode() if not text.isascii() else text
