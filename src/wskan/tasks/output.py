"""What a task reads of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.kan.edges import flatten_edges


def flatten_output(output: Tensor | Sequence[Tensor]) -> Tensor:
    """A model's output in single precision: ``[B, out_dim]`` as it is; blocks of the edge read-out as ``[B, E * out_dim]``, edges in the order of :func:`wskan.kan.edges.flatten_edges`."""
    return (output if isinstance(output, Tensor) else flatten_edges(output).flatten(1)).to(torch.float32)
