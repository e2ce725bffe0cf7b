"""Run :mod:`wskan.models.ops.edge_mlp` in C++ on CPUs (csrc/edge_mlp.cpp)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from wskan.errors import ShapeError
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_messages_cpp import LANES, EdgeLinearStruct, check, pointer, warn_once
from wskan.native import load_library

SOURCE = Path(__file__).with_name("csrc") / "edge_mlp.cpp"

_Pointer = ctypes.c_void_p


class _EdgeMLP(ctypes.Structure):
    """The struct ``EdgeMLP`` of csrc/edge_mlp.h."""

    _fields_ = [
        ("graphs", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("bfloat16", "n", "m", "f", "h", "out", "threads", "residual")),
        ("dropped", ctypes.c_uint32),
        ("dropout_scale", ctypes.c_float),
        ("eps", ctypes.c_float),
        ("seed", ctypes.c_uint64),
        ("half", EdgeLinearStruct),
        *((name, _Pointer) for name in ("x", "first_t", "first", "second_t", "second", "bias", "y", "d_y", "d_x")),
        *((name, _Pointer) for name in ("d_first_t", "d_second_t", "d_bias")),
    ]  # fmt: skip


class _NormalSums(ctypes.Structure):
    """The struct ``NormalSums`` of csrc/normal.h."""

    _fields_ = [
        ("graphs", ctypes.c_int64),
        ("edges", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("bfloat16", "f", "threads")),
        ("eps", ctypes.c_float),
        *((name, _Pointer) for name in ("x", "mask", "sums", "d_sums", "through", "d_x")),
    ]  # fmt: skip


def available(x: Tensor, dtype: torch.dtype, h: int) -> bool:
    """Return whether the kernels can read edges ``x`` in a precision and with hidden dimension ``h``.

    The first call compiles them, which takes seconds.
    """
    if x.device.type != "cpu" or x.shape[-1] % LANES or h % LANES or x.numel() == 0:
        return False
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    if isinstance(library := _library(), str):
        warn_once(library)
        return False
    return dtype == torch.float32 or bool(library.wskan_edge_mlp_bfloat16())


def apply_edge_mlp(
    x: Tensor, first: EdgeLinear, weight: Tensor, bias: Tensor, dropout: float, eps: float, *, residual: bool
) -> Tensor:
    """Return ``[x +] dropout(weight @ act(first(normal(x))) + bias)``.

    Here ``normal`` is layer normalisation without parameters.

    Args:
        x: ``[B, n, m, f]``.
        first: first layer, of width h.
        weight: ``[f', h]``.
        bias: ``[f']``.
        dropout: probability.
        eps: small number of the normalisation.
        residual: add x.

    Raises:
        ShapeError: x is to be added to a result of another shape.
    """
    out = len(bias)
    if residual and out != x.shape[-1]:
        raise ShapeError(f"with residual=True the MLP must return {x.shape[-1]} numbers per edge, not {out}")
    pad = -out % LANES
    seed = int(torch.randint(2**62, ())) if dropout > 0 else 0
    y: Tensor = _EdgeMLPFunction.apply(  # type: ignore[no-untyped-call]
        x, first.weight, first.source, first.target, F.pad(weight, (0, 0, 0, pad)), F.pad(bias, (0, pad)),
        (dropout, seed, eps, residual),
    )  # fmt: skip
    return y[..., :out] if pad else y


def layer_norm_sums(x: Tensor, edge_mask: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    """Sum normalised states ``[B, E, f]`` over existing edges, ``[B, E]`` bool or None.

    Returns:
        The sums ``[B, f]`` in float32, and ``x`` for further use: its gradients are added in the same backward pass.
    """
    total, x = _NormalSumsFunction.apply(x, edge_mask, eps)  # type: ignore[no-untyped-call]
    return total, x


class _EdgeMLPFunction(torch.autograd.Function):
    """Saves its arguments. The random numbers of dropout follow from the seed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *arguments: Any) -> Tensor:
        *parts, ctx.settings = arguments
        x = x.contiguous()
        block, keep = _block(x, parts, ctx.settings)
        y = x.new_empty(*x.shape[:3], block.out)
        block.y = y.data_ptr()
        _run("wskan_edge_mlp_forward", block)
        ctx.save_for_backward(x, *parts)
        del keep  # alive until here
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, *parts = ctx.saved_tensors
        weight, source, target, second, bias = parts
        block, keep = _block(x, parts, ctx.settings)
        d_y, d_x = d_y.to(x.dtype).contiguous(), torch.empty_like(x)
        d_nodes = [None if part is None else _sums(part.shape) for part in (source, target)]
        d_first_t, d_second_t, d_bias = map(_sums, (weight.shape[::-1], second.shape[::-1], bias.shape))
        block.d_y, block.d_x = d_y.data_ptr(), d_x.data_ptr()
        block.half.d_source, block.half.d_target = map(pointer, d_nodes)
        block.d_first_t, block.d_second_t, block.d_bias = map(pointer, (d_first_t, d_second_t, d_bias))
        _run("wskan_edge_mlp_backward", block)
        del keep  # alive until here
        return d_x, d_first_t.t(), *d_nodes, d_second_t.t(), d_bias, None


class _NormalSumsFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, edge_mask: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        x, edge_mask = x.contiguous(), None if edge_mask is None else edge_mask.contiguous()
        sums = _sums((len(x), x.shape[-1]))
        ctx.eps = eps
        ctx.set_materialize_grads(False)
        _run("wskan_normal_sums_forward", _sums_block(x, edge_mask, eps), sums=sums)
        ctx.save_for_backward(x, edge_mask)
        return sums, x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor | None, through: Tensor | None) -> tuple[Tensor | None, ...]:
        if d_sums is None:
            return through, None, None
        x, edge_mask = ctx.saved_tensors
        d_x, d_sums = torch.empty_like(x), d_sums.float().contiguous()
        through = None if through is None else through.to(x.dtype).contiguous()
        block = _sums_block(x, edge_mask, ctx.eps)
        block.through = pointer(through)
        _run("wskan_normal_sums_backward", block, d_sums=d_sums, d_x=d_x)
        return d_x, None, None


def _block(x: Tensor, parts: Any, settings: tuple[float, int, float, bool]) -> tuple[_EdgeMLP, list[Tensor]]:
    """Return the arguments, and the tensors that must live as long."""
    (size, n, m, f), (weight, source, target, second, bias) = x.shape, parts
    dropout, seed, eps, residual = settings
    h, out = len(weight), len(second)
    check(weight, (h, f))
    check(source, (size, n, h))
    check(target, (size, m, h))
    check(second, (out, h))
    check(bias, (out,))
    matrices = {"first": weight, "first_t": weight.t(), "second": second, "second_t": second.t(), "bias": bias}
    matrices = {name: matrix.contiguous() for name, matrix in matrices.items()}
    block = _EdgeMLP(
        graphs=size, bfloat16=_narrow(x), n=n, m=m, f=f, h=h, out=out, threads=_threads(x), residual=residual,
        dropped=min(round(dropout * 2**32), 2**32 - 1), dropout_scale=0.0 if dropout >= 1 else 1 / (1 - dropout),
        seed=seed, eps=eps, x=x.data_ptr(), **{name: matrix.data_ptr() for name, matrix in matrices.items()},
    )  # fmt: skip
    block.half.set(source, target)
    return block, list(matrices.values())


def _sums_block(x: Tensor, edge_mask: Tensor | None, eps: float) -> _NormalSums:
    size, edges, f = x.shape
    if edge_mask is not None and (edge_mask.shape != x.shape[:2] or edge_mask.dtype != torch.bool):
        raise ShapeError(f"edge_mask must be bool {tuple(x.shape[:2])}, got {edge_mask.dtype} {tuple(edge_mask.shape)}")
    return _NormalSums(
        graphs=size, edges=edges, bfloat16=_narrow(x), f=f, threads=_threads(x), eps=eps,
        x=x.data_ptr(), mask=pointer(edge_mask),
    )  # fmt: skip


def _sums(shape: Sequence[int]) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32)


def _narrow(x: Tensor) -> int:
    return int(x.dtype == torch.bfloat16)


def _threads(x: Tensor) -> int:
    return min(torch.get_num_threads(), len(x))


def _library() -> Any:
    return load_library(SOURCE, "-fopenmp")  # the same threads as PyTorch's own


def _run(name: str, block: Any, **tensors: Tensor) -> None:
    for field, tensor in tensors.items():
        setattr(block, field, tensor.data_ptr())
    if status := getattr(_library(), name)(ctypes.byref(block)):
        raise MemoryError(f"out of memory in {name}") if status == 1 else RuntimeError(f"{name}: no bfloat16 here")
