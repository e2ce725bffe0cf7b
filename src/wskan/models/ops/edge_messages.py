"""The messages of one complete bipartite block, where WS-KAN spends its time.

Each of the three perceptrons that read an edge (section 3.3, steps a to c) begins with ``act(W_e e + W_v v_i + W_u v_j)``: an edge half, and halves of nodes that are
broadcast. :func:`edge_activations` computes that; :func:`edge_messages` computes all three at once with a backward pass of its own, a few graphs at a time so that what one
operation writes is still in cache when the next reads it. Nothing is saved for it but the arguments: on E edges and hidden dimension h, a training step multiplies
15 E h^2 numbers here, 3 of them for the second time, which takes no longer than writing 3 E h of them and reading them again (``benchmarks/ws_kan_memory.py``).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wskan.models.ops import edge_messages_cpp as message_kernel
from wskan.models.ops.edge_messages_cpp import KernelMessages
from wskan.models.ops.layers import activation, compute_dtype

CHUNK = 2**22  # bytes of one activation on the CPU: half a core's cache


class EdgeLinear(NamedTuple):
    """First layer of a perceptron that reads an edge: ``act(weight @ edge + source + target)``.

    Attributes:
        weight: ``[h, f]``.
        source: ``[B, n, h]``, what the node it comes from adds, bias included, or None.
        target: ``[B, m, h]``, what the node it leads to adds, or None.
    """

    weight: Tensor
    source: Tensor | None
    target: Tensor | None


def edge_activations(edge: Tensor, half: EdgeLinear) -> Tensor:
    """``act(weight @ edge + source + target)``, ``[B, n, m, h]``."""
    return activation(_before(edge, half))


def _before(edge: Tensor, half: EdgeLinear) -> Tensor:
    """The sums before the activation."""
    total = F.linear(edge, half.weight)
    if half.source is not None:
        total += half.source.unsqueeze(2)
    if half.target is not None:
        total += half.target.unsqueeze(1)
    return total


def edge_messages(
    x: Tensor,
    mask: Tensor | None,
    forward: EdgeLinear,
    backward: EdgeLinear | None,
    update: EdgeLinear | None,
    second: nn.Linear | None,
    states: EdgeLinear | None = None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Activations of the forward messages summed over sources, of the backward ones over targets, and the updated edges.

    Args:
        x: states of edges ``[B, n, m, h]``, or features ``[B, n, m, f]``.
        mask: ``[B, n, m, 1]``, or None if all edges exist.
        forward, backward, update: the first layers of the perceptrons of steps a, b and c; the last two may be absent.
        second: the second layer of the perceptron of step c.
        states: the layer without activation that makes states of ``x``, if it holds features. They are never written down.

    Returns:
        ``[B, m, h]``, ``[B, n, h]`` (None without ``backward``) and ``[B, n, m, h]`` (``x`` itself without ``update``).
    """
    if torch.compiler.is_compiling():  # which fuses this better
        into = edge_activations(x, forward)
        outof = None if backward is None else edge_activations(x, backward)
        into = (into if mask is None else into * mask).sum(1)
        outof = None if outof is None else (outof if mask is None else outof * mask).sum(2)
        if update is None or second is None:
            return into, outof, x
        return into, outof, (x if states is None else _before(x, states)) + second(edge_activations(x, update))
    last = (
        (*_ABSENT, None, None)
        if update is None or second is None
        else (*(states or _ABSENT), second.weight, second.bias)
    )
    dtype = compute_dtype(x)
    tensors = (x, mask, *forward, *(backward or _ABSENT), *(update or _ABSENT), *last)
    tensors = tuple(None if t is None else t.to(dtype) for t in tensors)
    engine = KernelMessages if message_kernel.available(tensors[0], len(forward.weight)) else _EdgeMessages
    into, outof, new = engine.apply(*tensors)  # type: ignore[no-untyped-call]
    return into, outof, x if new is None else new


_ABSENT = (None, None, None)


class _EdgeMessages(torch.autograd.Function):
    """Saves its arguments; whatever follows from them is computed again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, *parts: Tensor | None) -> Any:
        (size, n, m), h = x.shape[:3], len(parts[0])  # type: ignore[arg-type]
        x = x.contiguous()
        weight, bias = parts[12:]
        sums = [x.new_empty(size, m, h), None if parts[3] is None else x.new_empty(size, n, h)]
        new = None if parts[6] is None else x.new_empty(size, n, m, h)
        for rows in _chunks(x, h):
            *messages, update, states = _halves(parts, rows)
            for kind, half in enumerate(messages):
                if half is not None:
                    message = edge_activations(x[rows], half)
                    torch.sum(message if mask is None else message.mul_(mask[rows]), kind + 1, out=sums[kind][rows])  # type: ignore[index]
            if new is not None and update is not None and weight is not None and bias is not None:
                state = x[rows] if states is None else _before(x[rows], states)
                message = edge_activations(x[rows], update)
                torch.addmm(state.view(-1, h), message.view(-1, h), weight.t(), out=new[rows].view(-1, h))
                new[rows] += bias
        ctx.save_for_backward(x, mask, *parts)
        return (*sums, new)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, mask, *parts = ctx.saved_tensors
        weight = parts[12]
        wide = torch.promote_types(x.dtype, torch.float32)  # sums over many rows
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_parts: list[Any] = [
            None if part is None else torch.zeros_like(part, dtype=wide) if part.ndim < 3 else torch.empty_like(part)
            for part in parts
        ]
        for rows in _chunks(x, len(parts[0])):
            flat_x = x[rows].flatten(0, 2)
            through = gradients[2][rows].flatten(0, 2) if gradients[2] is not None else None
            sofar = through if parts[9] is None else None  # the residual connection
            for kind, half in enumerate(_halves(parts, rows)):
                if half is None:
                    continue
                total = gradients[2][rows].contiguous() if kind == 3 else _before(x[rows], half)
                flat = total.flatten(0, 2)
                if kind < 2:
                    gradient = gradients[kind][rows].unsqueeze(kind + 1).expand_as(total)
                    gradient = gradient if mask is None else gradient * mask[rows]
                elif kind == 2 and through is not None:
                    d_parts[12] += (activation(flat).t() @ through).t()
                    d_parts[13] += through.sum(0, dtype=wide)
                    gradient = (through @ weight).view_as(total)
                if kind < 3:  # states have no activation
                    torch.ops.aten.silu_backward.grad_input(gradient, total, grad_input=total)  # in its place
                d_parts[3 * kind] += (flat_x.t() @ flat).t()
                if half.source is not None:
                    torch.sum(total, 2, out=d_parts[3 * kind + 1][rows])
                if half.target is not None:
                    torch.sum(total, 1, out=d_parts[3 * kind + 2][rows])
                if d_x is not None:
                    out = d_x[rows].flatten(0, 2)
                    sofar = (
                        torch.mm(flat, half.weight, out=out)
                        if sofar is None
                        else torch.addmm(sofar, flat, half.weight, out=out)
                    )
        narrow = (None if d is None else d.to(part.dtype) for d, part in zip(d_parts, parts, strict=True))
        return (d_x, None, *narrow)


def _halves(parts: Sequence[Tensor | None], rows: slice) -> list[EdgeLinear | None]:
    """The first layers, and that of states, for some of the graphs."""
    kinds = [parts[i : i + 3] for i in (0, 3, 6, 9)]
    return [
        None if weight is None else EdgeLinear(weight, *(None if node is None else node[rows] for node in nodes))
        for weight, *nodes in kinds
    ]


def _chunks(x: Tensor, h: int) -> list[slice]:
    step = graphs_per_block(x, h)
    return [slice(begin, begin + step) for begin in range(0, len(x), step)]


def graphs_per_block(edge: Tensor, h: int) -> int:
    """So that ``h`` numbers an edge stay in a CPU's cache; elsewhere all."""
    size, n, m = edge.shape[:3]
    return max(1, CHUNK // max(1, n * m * h * edge.element_size()) if edge.device.type == "cpu" else size)
