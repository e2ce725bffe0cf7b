"""C++ code of this library: compiled once for this machine, cached, and called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

SHARED = Path(__file__).parent  # vector.h
# No -ffast-math: it would change the floating-point mode of the whole process and optimise NaN checks away.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


@functools.cache
def load_library(source: Path, *flags: str) -> Any:
    """The loaded library, or a sentence that says why there is none. The first call on a machine compiles it (seconds).

    Args:
        source: a C++ file. Headers lie beside it, or are those shared by all.
        flags: for compiler and linker, beside ``FLAGS``: ``-pthread`` or ``-fopenmp``.
    """
    try:
        path = _cache_folder() / f"{source.stem}-{_fingerprint(source, flags)}.so"
        if not path.exists():
            _compile(source, flags, path)
        return ctypes.CDLL(str(path))
    except Exception as error:  # a broken compiler fails in many ways, and none may stop the torch path
        lines = str(error).strip().splitlines()
        return f"no working C++ compiler ({type(error).__name__}: {lines[0] if lines else ''})"


def _cache_folder() -> Path:
    return Path(os.environ.get("WSKAN_CACHE", Path.home() / ".cache" / "wskan")) / "kernels"


def _fingerprint(source: Path, flags: tuple[str, ...]) -> str:
    """Changes with the sources, the flags, PyTorch and the processor, for which it is compiled."""
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


def _compile(source: Path, flags: tuple[str, ...], path: Path) -> None:
    """Build in a folder of our own and rename: no lock that a killed process could leave behind."""
    from torch.utils import cpp_extension

    if not shutil.which(cpp_extension.get_cxx_compiler()):
        raise FileNotFoundError(f"{cpp_extension.get_cxx_compiler()} not found")
    path.parent.mkdir(parents=True, exist_ok=True)
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    name = path.stem.replace("-", "_")  # PyTorch counts versions of what one process builds twice under one name
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        cpp_extension.load(
            name=name,
            sources=[str(source)],
            extra_cflags=[*FLAGS, *flags, native],
            extra_ldflags=list(flags),
            extra_include_paths=[str(SHARED)],
            build_directory=folder,
            is_python_module=False,
        )
        os.replace(Path(folder) / f"{name}.so", path)
