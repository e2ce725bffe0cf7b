"""Compute the messages of a block in C++ on CPUs (csrc/messages.cpp).

The function is that of :mod:`wskan.models.ops.edge_messages`. Everything between two products stays in cache.
"""

from __future__ import annotations

import ctypes
import functools
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wskan.errors import ShapeError
from wskan.models.ops.edge_linear import BlockWeights, EdgeLinear
from wskan.native import load_library

SOURCE = Path(__file__).with_name("csrc") / "messages.cpp"
LANES = 16  # floats in a vector: the hidden dimension must be a multiple

_Pointer = ctypes.c_void_p


class EdgeLinearStruct(ctypes.Structure):
    """The struct ``Half`` of csrc/rows.h."""

    _fields_ = [
        ("source", _Pointer),
        ("target", _Pointer),
        ("source_graph", ctypes.c_int64),
        ("source_node", ctypes.c_int64),
        ("target_graph", ctypes.c_int64),
        ("target_node", ctypes.c_int64),
        ("d_source", _Pointer),
        ("d_target", _Pointer),
    ]  # fmt: skip

    def set(self, source: Tensor | None, target: Tensor | None) -> None:
        """Set addresses and strides of the contributions of nodes, ``[B, n, h]`` and ``[B, m, h]``."""
        self.source, self.target = pointer(source), pointer(target)
        if source is not None:
            self.source_graph, self.source_node = source.stride()[:2]
        if target is not None:
            self.target_graph, self.target_node = target.stride()[:2]


class _Block(ctypes.Structure):
    """The struct ``Block`` of csrc/passes.h."""

    _fields_ = [
        ("graphs", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("bfloat16", "n", "m", "f", "h", "threads")),
        ("column", ctypes.c_int32 * 4),
        ("wide", ctypes.c_int32),
        ("half", EdgeLinearStruct * 4),
        *((name, _Pointer) for name in ("x", "mask", "first_t", "first", "second_t", "second", "bias")),
        *((name, _Pointer) for name in ("into", "outof", "updated", "d_into", "d_outof", "d_updated")),
        *((name, _Pointer) for name in ("d_x", "d_first_t", "d_second_t", "d_bias")),
    ]  # fmt: skip


def available(x: Tensor, h: int) -> bool:
    """Return whether the kernel can map edges ``[B, n, m, f]`` to hidden dimension ``h``.

    It needs a CPU, float32 or bfloat16, and sizes that are multiples of 16; f may differ if it needs no gradient. The
    first call compiles the kernel, which takes seconds.
    """
    if x.device.type != "cpu" or h % LANES or x.numel() == 0 or (x.requires_grad and x.shape[-1] % LANES):
        return False
    if x.dtype not in (torch.float32, torch.bfloat16):
        return False
    if isinstance(library := _library(), str):
        warn_once(library)
        return False
    return x.dtype == torch.float32 or bool(library.wskan_messages_bfloat16())


@functools.cache
def warn_once(reason: str) -> None:
    """Warn that the kernel is not available, once per reason."""
    warnings.warn(f"the messages of WS-KAN run in PyTorch instead of the faster C++ kernel: {reason}", stacklevel=4)


def _library() -> Any:
    return load_library(SOURCE, "-fopenmp")  # the same threads as PyTorch's own


class KernelMessages(torch.autograd.Function):
    """The C++ counterpart of the PyTorch function in :mod:`wskan.models.ops.edge_messages`, with the same arguments.

    It saves only its arguments for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, *tensors: Tensor | None) -> Any:
        weights = BlockWeights.unflatten(tensors)
        x, mask = x.contiguous(), None if mask is None else (mask != 0).contiguous()
        first, second, bias = _first_weights(weights), weights.second_weight, weights.second_bias
        (size, n, m), h = x.shape[:3], len(weights.forward.weight)
        into = x.new_zeros(size, m, h, dtype=torch.float32)
        outof = None if weights.backward is None else x.new_zeros(size, n, h, dtype=torch.float32)
        updated = None if weights.update is None else x.new_empty(size, n, m, h)
        arguments = {
            "first_t": first.t().contiguous(),
            "second_t": None if second is None else second.t().contiguous(),
            "bias": None if bias is None else bias.contiguous(),
        }
        block = _block(x, mask, weights)
        _run("wskan_messages_forward", block, **arguments, into=into, outof=outof, updated=updated)
        ctx.save_for_backward(x, mask, *tensors)
        return into.to(x.dtype), None if outof is None else outof.to(x.dtype), updated

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_into: Tensor, d_outof: Tensor | None, d_updated: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, mask, *tensors = ctx.saved_tensors
        weights = BlockWeights.unflatten(tensors)
        first, second = _first_weights(weights), weights.second_weight
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_first_t = x.new_zeros(first.shape[1], first.shape[0], dtype=torch.float32)
        d_weights = _gradient_buffers(weights, d_first_t, len(x))
        block = _block(x, mask, weights)
        for half, d_layer in zip(block.half, d_weights.first_layers, strict=True):
            if d_layer is not None:
                half.d_source, half.d_target = pointer(d_layer.source), pointer(d_layer.target)
        arguments = {
            "first": first,
            "first_t": first.t().contiguous(),
            "second": None if second is None else second.contiguous(),
            "d_into": d_into.float().contiguous(),
            "d_outof": None if d_outof is None else d_outof.float().contiguous(),
            "d_updated": None if d_updated is None else d_updated.to(x.dtype).contiguous(),
            "d_second_t": d_weights.second_weight,  # square; transposed below
        }
        _run("wskan_messages_backward", block, **arguments, d_x=d_x, d_first_t=d_first_t, d_bias=d_weights.second_bias)
        d_second_t = d_weights.second_weight
        return d_x, None, *d_weights._replace(second_weight=None if d_second_t is None else d_second_t.t()).flatten()


def _first_weights(weights: BlockWeights) -> Tensor:
    """Return the weights of all first layers below each other, ``[layers * h, f]``."""
    return torch.cat([layer.weight for layer in weights.first_layers if layer is not None])


def _gradient_buffers(weights: BlockWeights, d_first_t: Tensor, size: int) -> BlockWeights:
    """Return zeros; the weights of first layers are views of ``d_first_t``."""
    d_first = iter(torch.split(d_first_t.t(), len(weights.forward.weight)))

    def zeros(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        shape = (size, *tensor.shape[1:]) if tensor.ndim == 3 else tensor.shape
        return torch.zeros(shape, dtype=torch.float32)

    layers = [
        None if layer is None else EdgeLinear(next(d_first), zeros(layer.source), zeros(layer.target))
        for layer in weights.first_layers
    ]
    return BlockWeights._make([*layers, zeros(weights.second_weight), zeros(weights.second_bias)])


def _block(x: Tensor, mask: Tensor | None, weights: BlockWeights) -> _Block:
    (size, n, m), h = x.shape[:3], len(weights.forward.weight)
    bfloat16, threads = int(x.dtype == torch.bfloat16), min(torch.get_num_threads(), size)
    block = _Block(graphs=size, bfloat16=bfloat16, n=n, m=m, f=x.shape[-1], h=h, threads=threads)
    block.x, block.mask = x.data_ptr(), pointer(mask)
    check(mask, (size, n, m, 1))
    if weights.update is not None:
        _check_linear(weights.second_weight, weights.second_bias, h)
        if weights.states is None:
            check(x, (size, n, m, h))
    for index, layer in enumerate(weights.first_layers):
        if layer is None:
            block.column[index] = -1
            continue
        check(layer.weight, (h, block.f))
        check(layer.source, (size, n, h))
        check(layer.target, (size, m, h))
        block.column[index] = block.wide
        block.wide += h
        block.half[index].set(layer.source, layer.target)
    return block


def check(tensor: Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise unless a tensor that is passed to C++ has this shape and, if it belongs to nodes, contiguous rows."""
    if tensor is not None and (tuple(tensor.shape) != shape or (tensor.ndim == 3 and tensor.stride(-1) != 1)):
        raise ShapeError(
            f"need {shape} with its last dimension contiguous, got {tuple(tensor.shape)} with strides {tensor.stride()}"
        )


def _check_linear(weight: Tensor | None, bias: Tensor | None, h: int) -> None:
    if weight is None or bias is None:
        raise ShapeError(f"an edge update needs a second layer from {h} to {h} with a bias")
    check(weight, (h, h))
    check(bias, (h,))


def pointer(tensor: Tensor | None) -> int | None:
    """Return the address of a tensor, or None."""
    return None if tensor is None else tensor.data_ptr()


def _run(name: str, block: _Block, **tensors: Tensor | None) -> None:
    for field, tensor in tensors.items():
        setattr(block, field, pointer(tensor))
    if status := getattr(_library(), name)(ctypes.byref(block)):
        size = f"{block.graphs} graphs, {block.n} x {block.m} edges of {block.h}"
        raise (
            MemoryError(f"out of memory in {name}: {size}")
            if status == 1
            else RuntimeError(f"{name}: no bfloat16 here")
        )
