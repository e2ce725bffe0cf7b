"""The C++ kernel (csrc/): compiled once for this machine, cached, and called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wskan.kan.population import FIELDS, Population
from wskan.kan.spec import BASES, KANSpec

if TYPE_CHECKING:
    from wskan.kan.fit import FitConfig

SOURCES = Path(__file__).with_name("csrc")
DEGREES = range(1, 6)  # those instantiated in csrc/kernel.cpp
# No -ffast-math: it would change the floating-point mode of the whole process and optimise NaN checks away.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-pthread"]


def unavailable(spec: KANSpec) -> str | None:
    """Why the kernel cannot fit KANs of this specification here, or None if it can. The first call compiles it (seconds)."""
    if spec.degree not in DEGREES:
        return f"degree {spec.degree} is not one of its {list(DEGREES)}"
    library = _library()
    return library if isinstance(library, str) else None


def fit(
    population: Population,
    inputs: Tensor,
    targets: Tensor,
    seeds: Tensor,
    config: FitConfig,
    progress: Callable[[int], None] | None,
) -> tuple[Population, Tensor]:
    """Fit every KAN, one a core on ``torch.get_num_threads()`` cores; arguments as :func:`wskan.kan.fit.fit_population`'s.

    An interrupt (Ctrl-C) stops it after the KANs in progress.
    """
    library = _library()
    if isinstance(library, str):
        raise RuntimeError(library)
    spec, size = population.spec, len(population)
    shared = population.layers
    work = population.expand_knots()
    tensors = {name: [getattr(layer, name).float().contiguous().clone() for layer in work.layers] for name in FIELDS}
    inputs = inputs.float().contiguous()
    targets = (targets.float() if config.loss == "mse" else targets).contiguous()
    rates = np.asarray(config.rates(), dtype=np.float32)
    updates = config.update_steps()
    adapt = np.asarray([step in updates for step in range(config.steps)], dtype=np.uint8)
    losses = torch.empty(size, dtype=torch.float64)
    done, stop = ctypes.c_int64(0), ctypes.c_int32(0)
    pointers = {name: (ctypes.c_void_p * spec.num_layers)(*[t.data_ptr() for t in tensors[name]]) for name in FIELDS}
    status = _call(
        lambda: library.wskan_fit(
            ctypes.c_int64(size),
            spec.num_layers,
            (ctypes.c_int32 * len(spec.widths))(*spec.widths),
            spec.grid,
            spec.degree,
            BASES.index(spec.base),
            int(config.loss == "cross_entropy"),
            pointers["base_weight"],
            pointers["spline_weight"],
            pointers["coef"],
            pointers["mask"],
            pointers["knots"],
            ctypes.c_int64(inputs.shape[1]),
            ctypes.c_void_p(inputs.data_ptr()),
            ctypes.c_int64(0 if inputs.shape[0] == 1 else inputs.shape[1] * inputs.shape[2]),
            ctypes.c_void_p(targets.data_ptr() if config.loss == "mse" else None),
            ctypes.c_void_p(targets.data_ptr() if config.loss == "cross_entropy" else None),
            ctypes.c_void_p(seeds.contiguous().data_ptr()),
            ctypes.c_int64(config.batch_size),
            ctypes.c_int64(config.steps),
            ctypes.c_void_p(rates.ctypes.data),
            ctypes.c_void_p(adapt.ctypes.data),
            ctypes.c_float(config.grid_eps),
            min(torch.get_num_threads(), size),
            ctypes.c_void_p(losses.data_ptr()),
            ctypes.byref(done),
            ctypes.byref(stop),
        ),
        done,
        stop,
        progress,
    )
    if status:
        raise MemoryError(f"out of memory while fitting {size} KANs {spec}")
    layers = []
    for index, layer in enumerate(shared):
        fields = {name: tensors[name][index] for name in FIELDS}
        if not config.adapt_grid:
            fields["knots"] = layer.knots
        layers.append(type(layer)(**fields))
    return Population(spec, layers), losses


def _call(
    function: Callable[[], int], done: ctypes.c_int64, stop: ctypes.c_int32, progress: Callable[[int], None] | None
) -> int:
    """Run the kernel in a thread, so that progress is told and an interrupt heard meanwhile."""
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(function()), name="wskan-kernel")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            if progress is not None:
                progress(done.value)
    finally:
        stop.value = 1
        thread.join()
    return result[0]


@functools.cache
def _library() -> Any:
    """The loaded library, or a sentence that says why there is none."""
    path = _cache_folder() / f"kernel-{_fingerprint()}.so"
    try:
        if not path.exists():
            _compile(path)
        library = ctypes.CDLL(str(path))
    except Exception as error:  # a broken compiler fails in many ways, and none may stop the torch path
        return f"no working C++ compiler ({type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''})"
    library.wskan_fit.restype = ctypes.c_int
    return library


def _cache_folder() -> Path:
    return Path(os.environ.get("WSKAN_CACHE", Path.home() / ".cache" / "wskan")) / "kernels"


def _fingerprint() -> str:
    """Changes with the source, the flags, PyTorch and the processor, for which it is compiled."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    digest.update(repr((FLAGS, torch.__version__, platform.machine(), _processor())).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _compile(path: Path) -> None:
    """Build in a folder of our own and rename: no lock that a killed process could leave behind."""
    from torch.utils import cpp_extension

    if not shutil.which(cpp_extension.get_cxx_compiler()):
        raise FileNotFoundError(f"{cpp_extension.get_cxx_compiler()} not found")
    path.parent.mkdir(parents=True, exist_ok=True)
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        cpp_extension.load(
            name="wskan_kernel",
            sources=[str(SOURCES / "kernel.cpp")],
            extra_cflags=[*FLAGS, native],
            extra_ldflags=["-pthread"],
            build_directory=folder,
            is_python_module=False,
        )
        os.replace(Path(folder) / "wskan_kernel.so", path)
