"""What is compared when KANs are aligned: the channels of every edge."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Layer, Population

LARGEST = 1e15  # parameter whose products single precision holds, also summed up over all edges


def edge_channels(population: Population, channel_weights: Tensor | None = None, *, first: int = 0) -> list[Tensor]:
    """The vectors [w_b, w_s, c] of all edges (appendix D), zero for a masked edge, one ``[K, n_l, n_{l+1}, F]`` a layer.

    Args:
        population: the KANs.
        channel_weights: ``[F]``; channels are multiplied by its root, so that it weighs inner products and squared distances.
        first: number of the first KAN, for the message.

    Raises:
        DataError: parameters that are not finite.
    """
    channels = [_channels(layer) for layer in population.layers]
    for layer in channels:
        low, high = map(float, layer.aminmax())
        if not -LARGEST <= low <= high <= LARGEST:  # nor is NaN
            bad = first + (~(layer.abs() <= LARGEST).flatten(1).all(1)).nonzero().squeeze(1)
            raise DataError(f"KANs {bad.tolist()[:5]} are not finite, or beyond {LARGEST:g}, and cannot be aligned")
    return channels if channel_weights is None else [layer * channel_weights.sqrt().to(layer) for layer in channels]


def _channels(layer: Layer) -> Tensor:
    channels = torch.cat([layer.base_weight.unsqueeze(-1), layer.spline_weight.unsqueeze(-1), layer.coef], -1)
    return channels * layer.mask.unsqueeze(-1)


def check_alignable(spec: KANSpec, channel_weights: Tensor | None = None) -> None:
    """Refuse what cannot be aligned.

    Raises:
        ShapeError: KANs without a hidden layer, or weights that are not one a channel.
        DataError: weights that are negative or not finite.
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
    """Number F of channels of an edge."""
    return spec.num_basis + 2
