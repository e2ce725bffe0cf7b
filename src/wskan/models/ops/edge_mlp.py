"""A perceptron on each edge that reads its normalised state: DeepSets' layers and the edge read-outs, which take most of the time of a model on large KAN-graphs.

:func:`edge_mlp` is ``[x +] dropout(second(act(first(norm(x)) + source + target)))`` and :func:`mean_of_layer_norm` the mean of ``norm(x)`` over the edges. On CPUs both
are C++ kernels (:mod:`wskan.models.ops.edge_mlp_cpp`) that keep everything between ``x`` and the result in cache; elsewhere PyTorch, a few graphs at a time. Either way only
``x`` is saved for the backward pass, and what follows from it computed again.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wskan.models.ops import edge_mlp_cpp as perceptron_kernel
from wskan.models.ops.edge_messages import EdgeLinear, edge_activations, graphs_per_block
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
    """``[x +] dropout(second(act(first(norm(x)) + source + target)))``.

    Args:
        x: states of edges, ``[B, n, m, f]``.
        norm: layer normalisation over f.
        first: the first layer, from f to h, and what the nodes at the ends of an edge add.
        second: the second layer, from h to f' (f with ``residual``).
        dropout: of what is added.
        residual: whether ``x`` is added.

    Returns:
        ``[B, n, m, f']``.
    """

    def block(x: Tensor, source: Tensor | None, target: Tensor | None) -> Tensor:
        new: Tensor = second(edge_activations(norm(x), EdgeLinear(first.weight, source, target)))
        new = new if dropout is None else dropout(new)
        return x + new if residual else new

    if torch.compiler.is_compiling():  # which decides itself what to keep
        return block(x, first.source, first.target)
    dtype = compute_dtype(x)
    if perceptron_kernel.available(x, dtype, len(first.weight)):
        p = dropout.p if dropout is not None and dropout.training else 0.0
        weight, shift = first.weight * norm.weight, (first.weight * norm.bias).sum(1)  # the kernel's has no affine part
        source = shift.expand(len(x), x.shape[1], -1) if first.source is None else first.source + shift
        return perceptron_kernel.perceptron(
            x.to(dtype), EdgeLinear(weight.to(dtype), source.to(dtype), None if first.target is None else first.target.to(dtype)),
            second.weight.to(dtype), second.bias.to(dtype), p, norm.eps, residual=residual,
        )  # fmt: skip
    out, step = [], graphs_per_block(x, len(first.weight))
    for begin in range(0, len(x), step):
        rows = slice(begin, begin + step)
        parts = (None if part is None else part[rows] for part in (x, first.source, first.target))
        random = dropout is not None and dropout.training
        out.append(checkpoint(block, *parts, use_reentrant=False, preserve_rng_state=random))
    return torch.cat(out)


def mean_of_layer_norm(x: Tensor, norm: LayerNorm, exist: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean of ``norm(x)``, ``[B, E, f]``, over the edges that exist, ``[B, E]`` bool (None if all do); zero where there are none.

    Returns:
        ``[B, f]``, and ``x`` to go on with, so that its gradients are added up in one pass; it may be a view, and in another precision under autocast.
    """
    dtype = compute_dtype(x)
    if torch.compiler.is_compiling() or not perceptron_kernel.available(x, dtype, x.shape[-1]):
        return mean_over_edges(norm(x), exist), x
    sums, x = perceptron_kernel.layer_norm_sums(x.to(dtype), exist, norm.eps)
    count = sums.new_full((1, 1), x.shape[1]) if exist is None else exist.sum(1, keepdim=True)
    return ((sums * norm.weight + count * norm.bias) / count.clamp_min(1)).to(dtype), x


def mean_over_edges(x: Tensor, exist: Tensor | None) -> Tensor:
    """``[B, E, h]`` to ``[B, h]``, over existing edges only; zero where there are none."""
    if exist is None:  # a product takes a seventh of the time of a mean in bfloat16
        return (x.new_ones(len(x), 1, x.shape[1]) @ x).squeeze(1) / x.shape[1]
    total = (exist.to(x.dtype).unsqueeze(1) @ x).squeeze(1)
    return total / exist.sum(1, keepdim=True).clamp_min(1)
