"""Apply an MLP to each edge that reads its normalised state.

DeepSets' layers and the edge readouts do this, and it takes most of a model's time on large KAN-graphs.
:func:`edge_mlp` computes ``[x +] dropout(second(act(first(norm(x)) + source + target)))`` and
:func:`mean_of_layer_norm` the mean of ``norm(x)`` over the edges. On CPUs both are C++ kernels
(:mod:`wskan.models.ops.edge_mlp_cpp`) that keep intermediate results in cache. Elsewhere they run in PyTorch, a few
graphs at a time. Either way only ``x`` is saved for the backward pass, and everything else is recomputed.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wskan.models.ops import edge_mlp_cpp as edge_mlp_kernel
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_messages import edge_activations, graphs_per_block
from wskan.models.ops.layers import Dropout, LayerNorm, compute_dtype


def edge_mlp(
    x: Tensor,
    norm: LayerNorm,
    first: EdgeLinear,
    second: nn.Linear,
    *,
    dropout: Dropout | None = None,
    residual: bool = False,
) -> Tensor:
    """Return ``[x +] dropout(second(act(first(norm(x)) + source + target)))``.

    Args:
        x: states of edges, ``[B, n, m, f]``.
        norm: layer normalisation over f.
        first: first layer, from f to h, with the contributions of the nodes at the ends of an edge.
        second: second layer, from h to f' (f with ``residual``).
        dropout: dropout of the result, before ``x`` is added.
        residual: add ``x``.

    Returns:
        ``[B, n, m, f']``.
    """

    def block(x: Tensor, source: Tensor | None, target: Tensor | None) -> Tensor:
        new: Tensor = second(edge_activations(norm(x), EdgeLinear(first.weight, source, target)))
        new = new if dropout is None else dropout(new)
        return x + new if residual else new

    if torch.compiler.is_compiling():  # the compiler decides what to save
        return block(x, first.source, first.target)
    dtype = compute_dtype(x)
    if edge_mlp_kernel.available(x, dtype, len(first.weight)):
        p = dropout.p if dropout is not None and dropout.training else 0.0
        # the kernel normalises without weights
        weight, shift = first.weight * norm.weight, (first.weight * norm.bias).sum(1)
        source = shift.expand(len(x), x.shape[1], -1) if first.source is None else first.source + shift
        target = None if first.target is None else first.target.to(dtype)
        scaled = EdgeLinear(weight.to(dtype), source.to(dtype), target)
        return edge_mlp_kernel.apply_edge_mlp(
            x.to(dtype), scaled, second.weight.to(dtype), second.bias.to(dtype), p, norm.eps, residual=residual
        )
    out, step = [], graphs_per_block(x, len(first.weight))
    for begin in range(0, len(x), step):
        rows = slice(begin, begin + step)
        parts = (None if part is None else part[rows] for part in (x, first.source, first.target))
        random = dropout is not None and dropout.training
        out.append(checkpoint(block, *parts, use_reentrant=False, preserve_rng_state=random))
    return torch.cat(out)


def mean_of_layer_norm(x: Tensor, norm: LayerNorm, edge_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the mean of ``norm(x)`` over existing edges; zero for a graph without edges.

    Args:
        x: states of edges, ``[B, E, f]``.
        norm: layer normalisation over f.
        edge_mask: which edges edge_mask, ``[B, E]`` bool, or None if all do.

    Returns:
        The mean ``[B, f]``, and ``x`` for further use. Using this ``x`` adds up its gradients in one pass. It may be a
        view, and under autocast in another precision.
    """
    dtype = compute_dtype(x)
    if torch.compiler.is_compiling() or not edge_mlp_kernel.available(x, dtype, x.shape[-1]):
        return mean_over_edges(norm(x), edge_mask), x
    sums, x = edge_mlp_kernel.layer_norm_sums(x.to(dtype), edge_mask, norm.eps)
    count = sums.new_full((1, 1), x.shape[1]) if edge_mask is None else edge_mask.sum(1, keepdim=True)
    return ((sums * norm.weight + count * norm.bias) / count.clamp_min(1)).to(dtype), x


def mean_over_edges(x: Tensor, edge_mask: Tensor | None) -> Tensor:
    """Return the mean of ``[B, E, h]`` over existing edges, ``[B, h]``; zero for a graph without edges."""
    if edge_mask is None:  # in bfloat16 a product takes a seventh of the time of a mean
        return (x.new_ones(len(x), 1, x.shape[1]) @ x).squeeze(1) / x.shape[1]
    total = (edge_mask.to(x.dtype).unsqueeze(1) @ x).squeeze(1)
    return total / edge_mask.sum(1, keepdim=True).clamp_min(1)
