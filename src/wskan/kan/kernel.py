"""The C++ kernel that fits KANs (csrc/)."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wskan.kan.population import FIELDS, Population
from wskan.kan.spec import BASES, KANSpec
from wskan.native import load_library

if TYPE_CHECKING:
    from wskan.kan.fit import FitConfig

SOURCE = Path(__file__).with_name("csrc") / "kernel.cpp"
DEGREES = range(1, 6)  # those instantiated in csrc/kernel.cpp


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


def _library() -> Any:
    """The loaded library, or a sentence that says why there is none."""
    library = load_library(SOURCE, "-pthread")
    if not isinstance(library, str):
        library.wskan_fit.restype = ctypes.c_int
    return library
