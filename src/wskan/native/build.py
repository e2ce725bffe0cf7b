"""Compile, cache and load the C++ code of this library."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from wskan.errors import DataError
from wskan.files import write_atomically
from wskan.locks import hold
from wskan.reading import read_bytes

SHARED = Path(__file__).parent  # vector.h
# Without -ffast-math, which would change the floating-point mode of the whole process and optimise NaN checks away.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
MAX_LIBRARY = 64 * 2**20  # bytes
PATIENCE = 600  # seconds to wait for another process that compiles
_BUILD = "build-"  # prefix of the folders used for compiling
_FORMER_BUILD = re.compile("tmp[a-z0-9_]{8}")  # folders of earlier versions, which took no lock


@functools.cache
def load_library(source: Path, *flags: str) -> Any:
    """Return the loaded library, or a sentence that says why it is not available.

    The first call on a machine compiles it, which takes seconds. A library whose bytes differ from the compiled ones is
    never loaded but compiled again, once. A warning follows if that fails too.

    Args:
        source: a C++ file. Its headers are in the same folder or shared by all.
        flags: further flags for compiler and linker, after ``FLAGS``: ``-pthread`` or ``-fopenmp``.
    """
    try:
        path = _cache_folder() / f"{source.stem}-{_fingerprint(source, flags)}.so"
        if _is_whole(path):
            with contextlib.suppress(OSError):  # it was compiled on a machine with other system libraries
                return ctypes.CDLL(str(path))
        damaged = path.exists()
        try:
            _compile_alone(source, flags, path)
            return ctypes.CDLL(str(path))
        except Exception as error:
            if damaged:
                _warn_once(
                    f"{path} is damaged or from another version, and could not be compiled again "
                    f"({_first_line(error)}): PyTorch is used instead, which is slower"
                )
            raise
    except DataError as error:  # the disk is full or not writable
        return f"C++ cannot be compiled here: {error}"
    except Exception as error:  # a broken compiler fails in many ways, and PyTorch must still work
        return f"no working C++ compiler ({type(error).__name__}: {_first_line(error)})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _cache_folder() -> Path:
    return Path(os.environ.get("WSKAN_CACHE", Path.home() / ".cache" / "wskan")) / "kernels"


def _fingerprint(source: Path, flags: tuple[str, ...]) -> str:
    """Return digits that change with the sources, the flags, PyTorch and the processor."""
    digest = hashlib.sha256()
    for path in sorted([*source.parent.glob("*.h"), *source.parent.glob("*.cpp"), *SHARED.glob("*.h")]):
        digest.update(path.read_bytes())
    digest.update(repr((FLAGS, flags, torch.__version__, platform.machine(), _processor())).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _checksum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _is_whole(path: Path) -> bool:
    """Return whether a library matches its checksum; loading a truncated one would end the process."""
    try:
        checksum = read_bytes(_checksum_path(path), 100).decode().strip()
        return hashlib.sha256(read_bytes(path, MAX_LIBRARY)).hexdigest() == checksum
    except ValueError:  # as every DataError is
        return False


def _compile_alone(source: Path, flags: tuple[str, ...], path: Path) -> None:
    """Compile, or wait for another process that compiles."""
    folder = path.parent
    with hold(folder, "kernels are compiled", patience=PATIENCE):
        _remove_builds(folder)
        if _is_whole(path) and _loads(path):  # another process has compiled it in the meantime
            return
        try:
            _compile(source, flags, path)
        except Exception as error:
            if (place := _full(folder, error)) is not None:
                variable = "WSKAN_CACHE" if place == folder else "TMPDIR"
                raise DataError(
                    f"{place} is full: make room there, or set the environment variable {variable} to another folder"
                ) from error
            raise


def _loads(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return False
    return True


def _remove_builds(folder: Path) -> None:
    """Remove the folders of killed compilations. Only an older version of this library could still be compiling."""
    for place in folder.iterdir():
        found = place.lstat()
        former = _FORMER_BUILD.fullmatch(place.name) and time.time() - found.st_mtime > 3600
        if stat.S_ISDIR(found.st_mode) and (place.name.startswith(_BUILD) or former):
            shutil.rmtree(place, ignore_errors=True)


def _full(folder: Path, error: Exception) -> Path | None:
    """Return the folder without free space, if that is why the compiler failed."""
    places = [folder]
    with contextlib.suppress(OSError):
        places.append(Path(tempfile.gettempdir()))
    free = {place: shutil.disk_usage(place).free for place in places}
    least = min(free, key=lambda place: free[place])
    return least if free[least] < 2**20 or "No space left" in str(error) else None


def _compile(source: Path, flags: tuple[str, ...], path: Path) -> None:
    """Build in a new folder, then rename; the checksum is written last."""
    from torch.utils import cpp_extension

    if not shutil.which(cpp_extension.get_cxx_compiler()):
        raise FileNotFoundError(f"{cpp_extension.get_cxx_compiler()} not found")
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    with tempfile.TemporaryDirectory(prefix=_BUILD, dir=path.parent) as folder:
        cpp_extension.load(
            name=path.stem.replace("-", "_"),
            sources=[str(source)],
            extra_cflags=[*FLAGS, *flags, native],
            extra_ldflags=list(flags),
            extra_include_paths=[str(SHARED)],
            build_directory=folder,
            is_python_module=False,
        )
        (built,) = Path(folder).glob("*.so")  # PyTorch adds a version if one process builds the same name twice
        checksum = hashlib.sha256(built.read_bytes()).hexdigest()
        os.replace(built, path)
    write_atomically(_checksum_path(path), lambda to: to.write_text(f"{checksum}\n"))
