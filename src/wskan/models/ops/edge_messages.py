"""Compute the messages of one complete bipartite block, where WS-KAN spends its time.

Each of the three MLPs that read an edge (paper, section 3.3, steps a to c) begins with ``act(W_e e + W_v v_i + W_u
v_j)``: one product per edge, and products of nodes broadcast over edges. :func:`edge_activations` computes
that. :func:`edge_messages` computes all three at once and has its own backward pass. It works on a few graphs at a
time, so that each operation finds its input in cache.

Only the arguments are saved for the backward pass. On E edges and hidden dimension h, a training step multiplies
15 E h^2 numbers, 3 E h^2 of them a second time. That takes no longer than writing and reading 3 E h saved numbers
(``benchmarks/ws_kan_memory.py``).
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wskan.models.ops import edge_messages_cpp as message_kernel
from wskan.models.ops.edge_linear import BlockWeights, EdgeLinear
from wskan.models.ops.edge_messages_cpp import KernelMessages
from wskan.models.ops.layers import activation, compute_dtype

CHUNK = 2**22  # bytes of one activation on the CPU: half a core's cache


def edge_activations(edge: Tensor, layer: EdgeLinear) -> Tensor:
    """Return ``act(weight @ edge + source + target)``, ``[B, n, m, h]``."""
    return activation(_before_activation(edge, layer))


def _before_activation(edge: Tensor, layer: EdgeLinear) -> Tensor:
    total = F.linear(edge, layer.weight)
    if layer.source is not None:
        total += layer.source.unsqueeze(2)
    if layer.target is not None:
        total += layer.target.unsqueeze(1)
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
    """Sum activations of forward messages over sources and of backward messages over targets, and update the edges.

    Args:
        x: states of edges ``[B, n, m, h]``, or features ``[B, n, m, f]``.
        mask: ``[B, n, m, 1]``, or None if all edges exist.
        forward, backward, update: first layers of the MLPs of steps a, b and c. The last two may be None.
        second: second layer of the MLP of step c.
        states: if ``x`` holds features, the layer without activation that computes states. They are never stored.

    Returns:
        ``[B, m, h]``, ``[B, n, h]`` (None without ``backward``) and ``[B, n, m, h]`` (``x`` itself without ``update``).
    """
    if torch.compiler.is_compiling():  # the compiler fuses plain operations better
        into = edge_activations(x, forward)
        outof = None if backward is None else edge_activations(x, backward)
        into = (into if mask is None else into * mask).sum(1)
        outof = None if outof is None else (outof if mask is None else outof * mask).sum(2)
        if update is None or second is None:
            return into, outof, x
        old = x if states is None else _before_activation(x, states)
        return into, outof, old + second(edge_activations(x, update))
    if update is None or second is None:
        weights = BlockWeights(forward, backward, update, None, None, None)
    else:
        weights = BlockWeights(forward, backward, update, states, second.weight, second.bias)
    dtype = compute_dtype(x)
    edges, *tensors = x.to(dtype), *(None if t is None else t.to(dtype) for t in (mask, *weights.flatten()))
    engine = KernelMessages if message_kernel.available(edges, len(forward.weight)) else _EdgeMessages
    into, outof, updated = engine.apply(edges, *tensors)  # type: ignore[no-untyped-call]
    return into, outof, x if updated is None else updated


class _EdgeMessages(torch.autograd.Function):
    """Saves its arguments and recomputes everything else; the tensors are those of :meth:`BlockWeights.flatten`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, *tensors: Tensor | None) -> Any:
        weights = BlockWeights.unflatten(tensors)
        (size, n, m), h = x.shape[:3], len(weights.forward.weight)
        x = x.contiguous()
        into = x.new_empty(size, m, h)
        outof = None if weights.backward is None else x.new_empty(size, n, h)
        updated = None if weights.update is None else x.new_empty(size, n, m, h)
        for rows in _chunks(x, h):
            part, edges = weights.graphs(rows), x[rows]
            exists = None if mask is None else mask[rows]
            torch.sum(_messages(edges, exists, part.forward), 1, out=into[rows])
            if part.backward is not None and outof is not None:
                torch.sum(_messages(edges, exists, part.backward), 2, out=outof[rows])
            if part.update is not None and updated is not None:
                assert part.second_weight is not None
                assert part.second_bias is not None
                state = edges if part.states is None else _before_activation(edges, part.states)
                message = edge_activations(edges, part.update).view(-1, h)
                new = updated[rows]
                torch.addmm(state.view(-1, h), message, part.second_weight.t(), out=new.view(-1, h))
                new += part.second_bias
        ctx.save_for_backward(x, mask, *tensors)
        return into, outof, updated

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_into: Tensor, d_outof: Tensor | None, d_updated: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, mask, *tensors = ctx.saved_tensors
        weights, d_weights = BlockWeights.unflatten(tensors), _gradient_buffers(tensors)
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for rows in _chunks(x, len(weights.forward.weight)):
            edges, exists = x[rows], None if mask is None else mask[rows]
            gradients = [None if d is None else d[rows] for d in (d_into, d_outof, d_updated)]
            flat_edges = edges.flatten(0, 2)
            d_edges = None  # the sum so far; it begins with the residual connection
            if weights.states is None and gradients[2] is not None:
                d_edges = gradients[2].flatten(0, 2)
            part, d_part = weights.graphs(rows), d_weights.graphs(rows)
            for layer, d_layer, gradient in _layer_gradients(edges, exists, part, d_part, *gradients):  # type: ignore[arg-type]
                flat = gradient.flatten(0, 2)
                d_layer.weight.add_((flat_edges.t() @ flat).t())
                if d_layer.source is not None:
                    torch.sum(gradient, 2, out=d_layer.source)
                if d_layer.target is not None:
                    torch.sum(gradient, 1, out=d_layer.target)
                if d_x is not None:
                    out = d_x[rows].flatten(0, 2)
                    if d_edges is None:
                        d_edges = torch.mm(flat, layer.weight, out=out)
                    else:
                        d_edges = torch.addmm(d_edges, flat, layer.weight, out=out)
        narrow = (None if d is None else d.to(t.dtype) for d, t in zip(d_weights.flatten(), tensors, strict=True))
        return (d_x, None, *narrow)


def _messages(edges: Tensor, exists: Tensor | None, layer: EdgeLinear) -> Tensor:
    message = edge_activations(edges, layer)
    return message if exists is None else message.mul_(exists)


def _gradient_buffers(tensors: list[Tensor | None]) -> BlockWeights:
    """Return zeros for matrices and biases, which sum over many rows in at least float32; nodes are written once."""
    buffers = []
    for t in tensors:
        if t is None or t.ndim == 3:
            buffers.append(None if t is None else torch.empty_like(t))
        else:
            buffers.append(torch.zeros_like(t, dtype=torch.promote_types(t.dtype, torch.float32)))
    return BlockWeights.unflatten(buffers)


def _layer_gradients(
    edges: Tensor,
    exists: Tensor | None,
    weights: BlockWeights,
    d_weights: BlockWeights,
    d_into: Tensor,
    d_outof: Tensor | None,
    d_updated: Tensor | None,
) -> Iterator[tuple[EdgeLinear, EdgeLinear, Tensor]]:
    """Yield each layer that reads edges, its gradient buffers, and the gradients of its sums ``[B, n, m, h]``.

    The gradients of the second layer of step c are added to ``d_weights`` on the way.
    """
    total = _before_activation(edges, weights.forward)
    yield weights.forward, d_weights.forward, _through_activation(total, d_into.unsqueeze(1), exists)
    if weights.backward is not None and d_weights.backward is not None and d_outof is not None:
        total = _before_activation(edges, weights.backward)
        yield weights.backward, d_weights.backward, _through_activation(total, d_outof.unsqueeze(2), exists)
    if d_updated is None or weights.update is None or d_weights.update is None:
        return
    assert weights.second_weight is not None
    assert d_weights.second_weight is not None
    assert d_weights.second_bias is not None
    total, through = _before_activation(edges, weights.update), d_updated.flatten(0, 2)
    d_weights.second_weight.add_((activation(total.flatten(0, 2)).t() @ through).t())
    d_weights.second_bias.add_(through.sum(0, dtype=d_weights.second_bias.dtype))
    d_message = (through @ weights.second_weight).view_as(total)
    yield weights.update, d_weights.update, _through_activation(total, d_message, None)
    if weights.states is not None and d_weights.states is not None:  # no activation
        yield weights.states, d_weights.states, d_updated.contiguous()


def _through_activation(total: Tensor, gradient: Tensor, exists: Tensor | None) -> Tensor:
    """Overwrite sums by their gradients, given the gradients of their activations."""
    gradient = gradient.expand_as(total)
    gradient = gradient if exists is None else gradient * exists
    torch.ops.aten.silu_backward.grad_input(gradient, total, grad_input=total)
    return total


def _chunks(x: Tensor, h: int) -> list[slice]:
    step = graphs_per_block(x, h)
    return [slice(begin, begin + step) for begin in range(0, len(x), step)]


def graphs_per_block(edge: Tensor, h: int) -> int:
    """Return how many graphs to process at once: on a CPU so that ``h`` numbers per edge stay in cache, else all."""
    size, n, m = edge.shape[:3]
    return max(1, CHUNK // max(1, n * m * h * edge.element_size()) if edge.device.type == "cpu" else size)
