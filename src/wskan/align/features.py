"""Compute the channels of edges, which alignment compares."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Layer, Population

LARGEST = 1e15  # single precision can hold sums of squares of parameters up to this


def edge_channels(population: Population, channel_weights: Tensor | None = None, *, first: int = 0) -> list[Tensor]:
    """Return the vectors [w_b, w_s, c] of all edges (paper, appendix D), zero for masked edges.

    Args:
        population: K KANs.
        channel_weights: weights ``[F]`` of channels in inner products and squared distances. Channels are multiplied by
            their roots.
        first: number of the first KAN, for the error message.

    Returns:
        ``[K, n_l, n_{l+1}, F]`` per layer.

    Raises:
        DataError: Some parameters are not finite, or larger than 1e15.
    """
    channels = [_channels(layer) for layer in population.layers]
    for layer in channels:
        low, high = map(float, layer.aminmax())
        if not -LARGEST <= low <= high <= LARGEST:  # catches NaN, too
            bad = first + (~(layer.abs() <= LARGEST).flatten(1).all(1)).nonzero().squeeze(1)
            raise DataError(
                f"KANs {bad.tolist()[:5]} cannot be aligned: parameters are not finite or exceed {LARGEST:g}"
            )
    return channels if channel_weights is None else [layer * channel_weights.sqrt().to(layer) for layer in channels]


def _channels(layer: Layer) -> Tensor:
    channels = torch.cat([layer.base_weight.unsqueeze(-1), layer.spline_weight.unsqueeze(-1), layer.coef], -1)
    return channels * layer.mask.unsqueeze(-1)


def check_alignable(spec: KANSpec, channel_weights: Tensor | None = None) -> None:
    """Raise if KANs of a specification cannot be aligned, or not with these weights.

    Raises:
        ShapeError: The KANs have no hidden layer, or there is not one weight per channel.
        DataError: A weight is negative or not finite.
    """
    if spec.num_layers < 2:
        raise ShapeError(f"KANs {list(spec.widths)} have no hidden layer, so there is nothing to align")
    if channel_weights is None:
        return
    if tuple(channel_weights.shape) != (num_channels(spec),):
        raise ShapeError(f"channel_weights must be [{num_channels(spec)}], got {list(channel_weights.shape)}")
    if not bool((channel_weights.isfinite() & (channel_weights >= 0)).all()):
        raise DataError(f"channel_weights must be finite and not negative, got {channel_weights.tolist()}")


def num_channels(spec: KANSpec) -> int:
    """Return the number F of channels per edge."""
    return spec.num_basis + 2
