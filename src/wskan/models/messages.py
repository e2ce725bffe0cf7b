"""The messages of one complete bipartite block, where WS-KAN spends its time.

Each of the three perceptrons that read an edge (section 3.3, steps a to c) begins with ``act(W_e e + W_v v_i + W_u v_j)``: an edge half, and halves of nodes that are
broadcast. :func:`edge_activations` computes that; :func:`edge_messages` computes all three at once with a backward pass of its own, a few graphs at a time so that what one
operation writes is still in cache when the next reads it. On E edges and hidden dimension h, a training step multiplies 9 E h^2 numbers here and moves
about 30 E h.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wskan.models import message_kernel
from wskan.models.blocks import activation
from wskan.models.message_kernel import KernelMessages

CHUNK = 2**22  # bytes of one activation on the CPU: half a core's cache


class Half(NamedTuple):
    """First layer of a perceptron that reads an edge: ``act(weight @ edge + source + target)``.

    Attributes:
        weight: ``[h, f]``.
        source: ``[B, n, h]``, what the node it comes from adds, bias included, or None.
        target: ``[B, m, h]``, what the node it leads to adds, or None.
    """

    weight: Tensor
    source: Tensor | None
    target: Tensor | None


def edge_activations(edge: Tensor, half: Half) -> Tensor:
    """``act(weight @ edge + source + target)``, ``[B, n, m, h]``."""
    total = F.linear(edge, half.weight)
    if half.source is not None:
        total = total + half.source.unsqueeze(2)
    if half.target is not None:
        total = total + half.target.unsqueeze(1)
    return activation(total)


def edge_messages(
    edge: Tensor,
    mask: Tensor | None,
    forward: Half,
    backward: Half | None,
    update: Half | None,
    second: nn.Linear | None,
    read: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Activations of the forward messages summed over sources, of the backward ones over targets, and the updated edges.

    Args:
        edge: ``[B, n, m, h]``.
        mask: ``[B, n, m, 1]``, or None if all edges exist.
        forward, backward, update: the first layers of the perceptrons of steps a, b and c; the last two may be absent.
        second: the second layer of the perceptron of step c.
        read: ``[B, n, m, f]``, what the first layers read in place of ``edge``.

    Returns:
        ``[B, m, h]``, ``[B, n, h]`` (None without ``backward``) and ``[B, n, m, h]`` (``edge`` itself without ``update``).
    """
    if torch.compiler.is_compiling():  # which fuses this better
        x = edge if read is None else read
        into = edge_activations(x, forward)
        outof = None if backward is None else edge_activations(x, backward)
        into = (into if mask is None else into * mask).sum(1)
        outof = None if outof is None else (outof if mask is None else outof * mask).sum(2)
        return into, outof, edge if update is None or second is None else edge + second(edge_activations(x, update))
    weights = (None, None) if update is None or second is None else (second.weight, second.bias)
    autocast = torch.is_autocast_enabled(edge.device.type)
    dtype = torch.get_autocast_dtype(edge.device.type) if autocast else edge.dtype
    tensors = (edge, read, mask, *forward, *(backward or _ABSENT), *(update or _ABSENT), *weights)
    tensors = tuple(None if t is None else t.to(dtype) for t in tensors)
    engine = KernelMessages if message_kernel.available(tensors[0], tensors[1]) else _EdgeMessages
    into, outof, new = engine.apply(*tensors)  # type: ignore[no-untyped-call]
    return into, outof, edge if new is None else new


_ABSENT = (None, None, None)


class _EdgeMessages(torch.autograd.Function):
    """Saves the sums before each activation; whatever follows from them is computed again."""

    @staticmethod
    def forward(ctx: Any, edge: Tensor, read: Tensor | None, mask: Tensor | None, *parts: Tensor | None) -> Any:
        size, n, m, h = edge.shape
        edge, read = edge.contiguous(), None if read is None else read.contiguous()
        halves, (weight, bias) = _halves(parts), parts[9:]
        before = [None if half is None else torch.empty_like(edge) for half in halves]
        sums = [edge.new_empty(size, m, h), None if halves[1] is None else edge.new_empty(size, n, h)]
        new = None if halves[2] is None else torch.empty_like(edge)
        for rows in _chunks(edge):
            x = (edge if read is None else read)[rows].flatten(0, 2)
            for kind, (half, saved) in enumerate(zip(halves, before, strict=True)):
                if half is None or saved is None:
                    continue
                total = saved[rows]
                torch.mm(x, half.weight.t(), out=total.view(-1, h))
                if half.source is not None:
                    total += half.source[rows].unsqueeze(2)
                if half.target is not None:
                    total += half.target[rows].unsqueeze(1)
                message = activation(total)
                if kind < 2:
                    torch.sum(message if mask is None else message.mul_(mask[rows]), kind + 1, out=sums[kind][rows])  # type: ignore[index]
                elif new is not None and weight is not None and bias is not None:
                    torch.addmm(edge[rows].view(-1, h), message.view(-1, h), weight.t(), out=new[rows].view(-1, h))
                    new[rows] += bias
        ctx.save_for_backward(edge if read is None else None, read, mask, *parts, *before)
        return (*sums, new)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        edge, read, mask, *saved = ctx.saved_tensors
        parts, before = saved[:11], saved[11:]
        halves, weight = _halves(parts), parts[9]
        x = edge if read is None else read
        wide = torch.promote_types(x.dtype, torch.float32)  # sums over many rows
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0 if read is None else 1] else None
        d_parts: list[Any] = [
            None if part is None else torch.zeros_like(part, dtype=wide) if part.ndim < 3 else torch.empty_like(part)
            for part in parts
        ]
        for rows in _chunks(before[0]):
            flat_x, scratch = x[rows].flatten(0, 2), torch.empty_like(before[0][rows])
            flat = scratch.flatten(0, 2)
            through = gradients[2][rows].flatten(0, 2) if gradients[2] is not None else None
            sofar = through if read is None else None  # the residual connection
            for kind, (half, total) in enumerate(zip(halves, before, strict=True)):
                if half is None:
                    continue
                if kind < 2:
                    gradient = gradients[kind][rows].unsqueeze(kind + 1).expand_as(scratch)
                    gradient = gradient if mask is None else gradient * mask[rows]
                elif through is not None:
                    d_parts[9] += (activation(total[rows]).flatten(0, 2).t() @ through).t()
                    d_parts[10] += through.sum(0, dtype=wide)
                    gradient = (through @ weight).view_as(scratch)
                torch.ops.aten.silu_backward.grad_input(gradient, total[rows], grad_input=scratch)
                d_parts[3 * kind] += (flat_x.t() @ flat).t()
                if half.source is not None:
                    torch.sum(scratch, 2, out=d_parts[3 * kind + 1][rows])
                if half.target is not None:
                    torch.sum(scratch, 1, out=d_parts[3 * kind + 2][rows])
                if d_x is not None:
                    out = d_x[rows].flatten(0, 2)
                    sofar = (
                        torch.mm(flat, half.weight, out=out)
                        if sofar is None
                        else torch.addmm(sofar, flat, half.weight, out=out)
                    )
        narrow = (None if d is None else d.to(part.dtype) for d, part in zip(d_parts, parts, strict=True))
        return (d_x, None, None, *narrow) if read is None else (gradients[2], d_x, None, *narrow)


def _halves(parts: Sequence[Tensor | None]) -> list[Half | None]:
    return [None if parts[i] is None else Half(*parts[i : i + 3]) for i in (0, 3, 6)]  # type: ignore[arg-type]


def _chunks(edge: Tensor) -> list[slice]:
    """Graphs to take at a time."""
    size = len(edge)
    step = (
        max(1, CHUNK // max(1, edge[0].numel() * edge.element_size()))
        if edge.device.type == "cpu" and size
        else max(1, size)
    )
    return [slice(begin, begin + step) for begin in range(0, size, step)]
