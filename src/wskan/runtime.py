"""Memory and threads of the process."""

from __future__ import annotations

import contextlib
import ctypes
import random
import sys
from collections.abc import Iterator

import numpy as np
import torch

from wskan.errors import DataError, reason
from wskan.reading import shown

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}
_GIVE_BACK = {_MMAP_MAX: 2**16, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}  # the largest glibc itself would use


@contextlib.contextmanager
def retain_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process within the context, and return it to the system at the end. Do not nest.

    By default, glibc maps each block of more than 32 MB separately and unmaps it when it is freed. So every large
    tensor costs page faults each time, a quarter of a training step on classifier KANs
    (benchmarks/ws_kan_memory.py). Afterwards, glibc no longer tunes these limits, and MALLOC_ variables of the
    environment have no effect. The limits are then as high as glibc would have let them grow. Without glibc nothing
    happens.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    assert libc is not None
    try:
        for option, value in _KEEP.items():
            libc.mallopt(option, value)
        yield
    finally:
        for option, value in _GIVE_BACK.items():
            libc.mallopt(option, value)
        libc.malloc_trim(ctypes.c_size_t(0))


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Let PyTorch use a single thread within the context.

    For products of small matrices, waiting for a second thread takes longer than computing (docs/decisions).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Seed the generators of Python, NumPy and PyTorch inside, and put the caller's states back at the end."""
    python, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


def resolve_device(name: torch.device | str) -> torch.device:
    """Choose a device: ``"auto"`` is a CUDA GPU if there is one, else the CPU.

    Raises:
        DataError: the device does not exist here, or computes nothing, such as ``"meta"``.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise DataError("no CUDA GPU can be used here; choose device cpu")
        torch.zeros(1, device=device).item()  # fails if the device does not exist, and for "meta"
    except (RuntimeError, NotImplementedError, AssertionError, ImportError) as error:
        raise DataError(
            f"device {shown(str(name))} cannot be used here ({reason(error):.200}); choose cpu or cuda"
        ) from error
    return device
