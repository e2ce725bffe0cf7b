"""The messages of a block in C++ (csrc/messages.cpp) on CPUs: the same function as :mod:`wskan.models.ops.edge_messages`, with everything between two products in cache."""

from __future__ import annotations

import ctypes
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wskan.errors import ShapeError
from wskan.native import load_library

SOURCE = Path(__file__).with_name("csrc") / "messages.cpp"
LANES = 16  # floats in a vector: the hidden dimension must be a multiple

_Pointer = ctypes.c_void_p


class EdgeLinearStruct(ctypes.Structure):
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
        """What nodes add, ``[B, n, h]`` and ``[B, m, h]``: addresses and strides."""
        self.source, self.target = pointer(source), pointer(target)
        if source is not None:
            self.source_graph, self.source_node = source.stride()[:2]
        if target is not None:
            self.target_graph, self.target_node = target.stride()[:2]


class _Block(ctypes.Structure):
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
    """Whether the kernel can take edges ``[B, n, m, f]`` to hidden dimension ``h``: on a CPU, in a precision that it has, no gradients wanted of odd numbers of features. The first call compiles it (seconds)."""
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
    """Once."""
    warnings.warn(f"WS-KAN's messages run in PyTorch instead of the C++ kernel, slower: {reason}", stacklevel=4)


def _library() -> Any:
    return load_library(SOURCE, "-fopenmp")  # the same threads as PyTorch's own


class KernelMessages(torch.autograd.Function):
    """Arguments and results of :func:`wskan.models.ops.edge_messages.edge_messages`, the halves one after the other. Saves nothing else for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, *parts: Tensor | None) -> Any:
        x, mask = x.contiguous(), None if mask is None else (mask != 0).contiguous()
        first, second, bias = _first(parts), *(None if part is None else part.contiguous() for part in parts[12:])
        (size, n, m), h = x.shape[:3], len(parts[0])  # type: ignore[arg-type]
        into = x.new_zeros(size, m, h, dtype=torch.float32)
        outof = None if parts[3] is None else x.new_zeros(size, n, h, dtype=torch.float32)
        updated = None if parts[6] is None else x.new_empty(size, n, m, h)
        transposed = {
            "first_t": first.t().contiguous(),
            "second_t": None if second is None else second.t().contiguous(),
        }
        _run(
            "wskan_messages_forward", _block(x, mask, parts), bias=bias, into=into, outof=outof, updated=updated, **transposed,
        )  # fmt: skip
        ctx.save_for_backward(x, mask, *parts)
        return into.to(x.dtype), None if outof is None else outof.to(x.dtype), updated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, mask, *parts = ctx.saved_tensors
        (size, n, m), h = x.shape[:3], len(parts[0])
        shapes = ((size, m, h), (size, n, h), (size, n, m, h))
        given = [
            None if parts[3 * kind] is None else x.new_zeros(shape) if gradient is None else gradient
            for kind, (gradient, shape) in enumerate(zip(gradients, shapes, strict=True))
        ]
        given = [
            None if g is None else g.to(torch.float32 if kind < 2 else x.dtype).contiguous()
            for kind, g in enumerate(given)
        ]
        d_parts = [None if part is None else _zeros(part, size) for part in parts]
        block = _block(x, mask, parts)
        for kind in range(4):
            block.half[kind].d_source, block.half[kind].d_target = map(pointer, d_parts[3 * kind + 1 : 3 * kind + 3])
        first, second = _first(parts), None if parts[12] is None else parts[12].contiguous()
        d_first_t = x.new_zeros(first.shape[1], first.shape[0], dtype=torch.float32)
        d_second_t = d_parts[12]  # square: transposed below
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        _run(
            "wskan_messages_backward", block, first_t=first.t().contiguous(), first=first, second=second, d_into=given[0],
            d_outof=given[1], d_updated=given[2], d_x=d_x, d_first_t=d_first_t, d_second_t=d_second_t, d_bias=d_parts[13],
        )  # fmt: skip
        d_first = iter(d_first_t.t().split(h))
        for kind in range(4):
            d_parts[3 * kind] = None if parts[3 * kind] is None else next(d_first)
        d_parts[12] = None if d_second_t is None else d_second_t.t()
        return (d_x, None, *d_parts)


def _first(parts: Sequence[Tensor | None]) -> Tensor:
    """The first layers of all kinds, ``[kinds * h, f]``."""
    return torch.cat([weight for weight in parts[:12:3] if weight is not None])


def _zeros(part: Tensor, size: int) -> Tensor:
    shape = (size, *part.shape[1:]) if part.ndim == 3 else part.shape
    return torch.zeros(shape, dtype=torch.float32)


def _block(x: Tensor, mask: Tensor | None, parts: Sequence[Tensor | None]) -> _Block:
    (size, n, m), h = x.shape[:3], len(parts[0])  # type: ignore[arg-type]
    bfloat16, threads = int(x.dtype == torch.bfloat16), min(torch.get_num_threads(), size)
    block = _Block(graphs=size, bfloat16=bfloat16, n=n, m=m, f=x.shape[-1], h=h, threads=threads)
    block.x, block.mask = x.data_ptr(), pointer(mask)
    check(mask, (size, n, m, 1))
    if parts[6] is not None:  # the update
        _check_linear(parts[12], parts[13], h)
        if parts[9] is None:
            check(x, (size, n, m, h))
    for kind in range(4):
        weight, source, target = parts[3 * kind : 3 * kind + 3]
        check(weight, (h, block.f))
        check(source, (size, n, h))
        check(target, (size, m, h))
        block.column[kind] = -1 if weight is None else block.wide
        block.wide += 0 if weight is None else h
        block.half[kind].set(source, target)
    return block


def check(tensor: Tensor | None, shape: tuple[int, ...]) -> None:
    """Before its address is handed on."""
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
