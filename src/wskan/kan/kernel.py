"""Bindings of the C++ kernel that fits and evaluates KANs (csrc/)."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wskan.kan.bases import BASES
from wskan.kan.fit_config import FitProblem
from wskan.kan.layer import FIELDS
from wskan.kan.population import Population
from wskan.kan.spec import ACTIVATIONS, KANSpec
from wskan.native import load_library

SOURCE = Path(__file__).with_name("csrc") / "kernel.cpp"

_Pointer, _Pointers = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)


class _KANs(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("layers", "basis", "grid", "degree", "base")),
        ("widths", ctypes.POINTER(ctypes.c_int32)),
        *((name, _Pointers) for name in FIELDS),
    ]


class _Training(ctypes.Structure):
    _fields_ = [
        ("kans", _KANs),
        ("loss", ctypes.c_int32),
        *((name, ctypes.c_int64) for name in ("points", "batch", "steps")),
        ("inputs", _Pointer),
        ("input_stride", ctypes.c_int64),
        *((name, _Pointer) for name in ("targets", "labels", "seeds", "rates", "adapt")),
        ("grid_eps", ctypes.c_float),
        ("rcond", ctypes.c_float),
        ("losses", _Pointer),
    ]


class _Evaluation(ctypes.Structure):
    _fields_ = [
        ("kans", _KANs),
        ("points", ctypes.c_int64),
        ("inputs", _Pointer),
        ("input_stride", ctypes.c_int64),
        ("outputs", _Pointer),
        *((name, _Pointers) for name in ("edge_std", "edge_mean", "node_std")),
        ("edge_points", ctypes.c_int64),
        *((name, _Pointers) for name in ("node_values", "edge_values")),
    ]


def unavailable(spec: KANSpec) -> str | None:
    """Return why the kernel cannot be used for this specification here, or None if it can.

    The first call compiles it, which takes seconds.
    """
    if (problem := spec.basis_functions.kernel_invalid_reason()) is not None:
        return problem
    library = _library()
    return library if isinstance(library, str) else None


def fit(problem: FitProblem) -> tuple[Population, Tensor]:
    """Fit one KAN per core, on ``torch.get_num_threads()`` cores.

    An interrupt (Ctrl-C) stops it after the KANs in progress.

    Returns:
        The fitted KANs and their losses ``[K]`` float64.
    """
    population, config = problem.population, problem.config
    tensors = _tensors(population, copy=True)
    inputs, points = _to_cpp(problem.inputs), problem.inputs.shape[1]
    classes = config.loss == "cross_entropy"
    targets = problem.targets.cpu().contiguous() if classes else _to_cpp(problem.targets)
    rates, updates = np.asarray(config.rates(), dtype=np.float32), config.update_steps()
    adapt = np.asarray([step in updates for step in range(config.steps)], dtype=np.uint8)
    losses, seeds = torch.empty(len(population), dtype=torch.float64), problem.seeds.cpu().contiguous()
    training = _Training(
        kans=_kans(population.spec, tensors),
        loss=int(classes),
        points=points,
        batch=min(config.batch_size, points),
        steps=config.steps,
        inputs=inputs.data_ptr(),
        input_stride=_stride(inputs),
        targets=None if classes else targets.data_ptr(),
        labels=targets.data_ptr() if classes else None,
        seeds=seeds.data_ptr(),
        rates=rates.ctypes.data,
        adapt=adapt.ctypes.data,
        grid_eps=config.grid_eps,
        rcond=config.rcond or 0.0,
        losses=losses.data_ptr(),
    )
    _run("wskan_fit", training, population, problem.progress)
    layers = []
    for index, layer in enumerate(population.layers):
        fields = {name: tensors[name][index] for name in FIELDS}
        if not config.adapt_grid:
            fields["knots"] = layer.knots
        layers.append(type(layer)(**fields))
    return Population(population.spec, layers), losses


def evaluate(population: Population, inputs: Tensor) -> Tensor:
    """Compute outputs ``[K, N, out]`` on ``[1 or K, N, in]``."""
    inputs = _to_cpp(inputs)
    outputs = torch.empty(len(population), inputs.shape[1], population.spec.widths[-1], dtype=torch.float32)
    _evaluate(population, inputs, outputs=outputs.data_ptr())
    return outputs


def activations(population: Population, inputs: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Measure each layer over samples.

    Returns:
        Per layer, the standard deviation ``[K, in, out]`` and the mean absolute value ``[K, in, out]`` of edges, and
        the standard deviation ``[K, out]`` of neurons.
    """
    inputs = _to_cpp(inputs)
    shapes = [tuple(layer.mask.shape) for layer in population.layers]
    edge_std, edge_mean = ([torch.empty(shape, dtype=torch.float32) for shape in shapes] for _ in range(2))
    node_std = [torch.empty(shape[0], shape[2], dtype=torch.float32) for shape in shapes]
    _evaluate(population, inputs, edge_std=_array(edge_std), edge_mean=_array(edge_mean), node_std=_array(node_std))
    return edge_std, edge_mean, node_std


def responses(population: Population, inputs: Tensor, edge_points: int) -> tuple[list[Tensor], list[Tensor]]:
    """Evaluate neurons at all inputs and edges at the first inputs.

    Returns:
        Per layer, activations ``[K, out, N]`` of neurons and values ``[K, in, out, edge_points]`` of edges.
    """
    inputs = _to_cpp(inputs)
    shapes = [tuple(layer.mask.shape) for layer in population.layers]
    nodes = [torch.empty(shape[0], shape[2], inputs.shape[1], dtype=torch.float32) for shape in shapes]
    edges = [torch.zeros(*shape, edge_points, dtype=torch.float32) for shape in shapes]
    _evaluate(population, inputs, edge_points=edge_points, node_values=_array(nodes), edge_values=_array(edges))
    return nodes, edges


def _evaluate(population: Population, inputs: Tensor, **results: Any) -> None:
    tensors = _tensors(population, copy=False)
    problem = _Evaluation(
        kans=_kans(population.spec, tensors),
        points=inputs.shape[1],
        inputs=inputs.data_ptr(),
        input_stride=_stride(inputs),
        **results,
    )
    _run("wskan_evaluate", problem, population, None)


def _to_cpp(tensor: Tensor) -> Tensor:
    """Convert to the layout that C++ reads."""
    return tensor.to("cpu", torch.float32).contiguous()


def _tensors(population: Population, *, copy: bool) -> dict[str, list[Tensor]]:
    """Return contiguous single-precision tensors of all layers, with separate knots for every KAN."""
    layers = population.expand_knots().layers
    tensors = {name: [_to_cpp(getattr(layer, name)) for layer in layers] for name in FIELDS}
    return {name: [t.clone() for t in ts] for name, ts in tensors.items()} if copy else tensors


def _kans(spec: KANSpec, tensors: dict[str, list[Tensor]]) -> _KANs:
    widths = (ctypes.c_int32 * len(spec.widths))(*spec.widths)
    arrays = {name: _array(tensors[name]) for name in FIELDS}
    basis, base = list(BASES).index(spec.basis), ACTIVATIONS.index(spec.base)
    return _KANs(
        layers=spec.num_layers,
        basis=basis,
        grid=spec.grid,
        degree=spec.degree,
        base=base,
        widths=widths,
        **arrays,
    )


def _array(tensors: Sequence[Tensor]) -> Any:
    return (_Pointer * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def _stride(inputs: Tensor) -> int:
    return 0 if inputs.shape[0] == 1 else inputs.shape[1] * inputs.shape[2]


def _run(name: str, problem: ctypes.Structure, population: Population, progress: Callable[[int], None] | None) -> None:
    """Run the kernel in a thread, so that progress is reported and an interrupt is noticed in the meantime."""
    library, size = _library(), len(population)
    if isinstance(library, str):
        raise RuntimeError(library)
    done, stop = ctypes.c_int64(0), ctypes.c_int32(0)
    threads = min(torch.get_num_threads(), size)
    result: list[int] = []
    begin, ended = threading.Event(), threading.Event()

    function = getattr(library, name)

    def work() -> None:
        begin.wait()  # forever if an interrupt hits the start of the thread; then nothing waits for its end
        try:
            result.append(
                function(ctypes.byref(problem), ctypes.c_int64(size), threads, ctypes.byref(done), ctypes.byref(stop))
            )
        finally:
            ended.set()

    threading.Thread(target=work, name=name, daemon=True).start()
    try:
        begin.set()
        over = False
        while not over:
            over = ended.wait(0.1)
            if progress is not None:
                progress(done.value)
    finally:
        stop.value = 1
        begin.set()
        # The kernel writes into tensors, which must live until it ends. After an interrupted `join`, the next one would
        # return at once, so wait for the event.
        while not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):
                ended.wait()
    if result[0]:
        raise MemoryError(f"out of memory for {size} KANs {population.spec}")


def _library() -> Any:
    """Return the loaded library, or a sentence that says why it is not available."""
    library = load_library(SOURCE, "-pthread")
    if not isinstance(library, str):
        library.wskan_fit.restype = library.wskan_evaluate.restype = ctypes.c_int
    return library
