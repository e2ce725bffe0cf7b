"""Outputs of a model as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.kan.edges import flatten_edges


def flatten_output(output: Tensor | Sequence[Tensor]) -> Tensor:
    """Convert the output of a model to one tensor in single precision.

    Args:
        output: ``[B, out_dim]``, or with the edge readout one block ``[B, n_l, n_{l+1}, out_dim]`` per layer.

    Returns:
        ``[B, out_dim]``, or ``[B, E * out_dim]`` with edges in the order of :func:`wskan.kan.edges.flatten_edges`.
    """
    return (output if isinstance(output, Tensor) else flatten_edges(output).flatten(1)).to(torch.float32)
