"""A shard of a zoo as it lies on disk, checked against the specification of its KANs."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Population
from wskan.reading import shown
from wskan.zoo.storage import ORACLE, SCORE

FACTS = "facts."  # prefix of a column
STORED = (torch.float32, torch.float16)  # what weights and coefficients may be stored in; knots are always in the first
COLUMNS = (torch.int64, torch.int32, torch.uint8, torch.float32, torch.float64)  # of facts


class OpenShard(NamedTuple):
    """Memory-mapped tensors of a shard.

    Attributes:
        population: its KANs.
        facts: columns, ``[n]`` each.
        masks: of the oracle, one ``[n, n_l, n_{l+1}]`` uint8 a layer; none where there is no oracle.
        scores: logarithms of its scores, one ``[n, n_l, n_{l+1}]`` float16 a layer; none where the recipe keeps none.
    """

    population: Population
    facts: dict[str, Tensor]
    masks: tuple[Tensor, ...]
    scores: tuple[Tensor, ...]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of weights and coefficients."""
        return self.population.layers[0].coef.dtype


def open_shard(spec: KANSpec, tensors: dict[str, Tensor], count: int) -> OpenShard:
    """Take a shard's tensors apart.

    Args:
        spec: of its KANs.
        tensors: all that is in it, by name.
        count: how many KANs it has to hold.

    Raises:
        ShapeError: tensors of another shape.
        DataError: unknown or missing tensors, or such of another precision.
    """
    if wrong := [name for name, tensor in tensors.items() if tensor.shape[:1] != (count,)]:
        raise ShapeError(f"{sorted(wrong)[:5]} are not of {count} KANs")
    facts = {name.removeprefix(FACTS): tensor for name, tensor in tensors.items() if name.startswith(FACTS)}
    if wrong := [name for name, tensor in facts.items() if tensor.ndim != 1]:
        raise ShapeError(f"columns {sorted(wrong)[:5]} have more than one number a KAN")
    if wrong := [name for name, tensor in facts.items() if tensor.dtype not in COLUMNS]:
        raise DataError(f"columns {shown(sorted(wrong)[:5])} hold numbers of {_dtypes(facts)}, not of {list(COLUMNS)}")
    masks = _edge_blocks(spec, tensors, count, ORACLE, "pruning masks", torch.uint8)
    scores = _edge_blocks(spec, tensors, count, SCORE, "scores of edges", torch.float16)
    if scores and not masks:
        raise DataError("scores of edges, but no pruning masks")
    parameters = {name: t for name, t in tensors.items() if not name.startswith((FACTS, ORACLE, SCORE))}
    knots = {name: tensor for name, tensor in parameters.items() if name.endswith("knots")}
    dtypes = {tensor.dtype for name, tensor in parameters.items() if name not in knots}
    if len(dtypes) != 1 or not dtypes <= set(STORED) or any(t.dtype != STORED[0] for t in knots.values()):
        raise DataError(f"parameters must be all of one of {STORED}, knots of the first, got {_dtypes(parameters)}")
    for index, pair in enumerate(itertools.pairwise(spec.widths)):  # takes no memory until rows are picked
        parameters.setdefault(f"layers.{index}.mask", torch.ones((), dtype=next(iter(dtypes))).expand(count, *pair))
    return OpenShard(Population.from_tensors(spec, parameters, check_values=False), facts, masks, scores)


def _edge_blocks(
    spec: KANSpec, tensors: dict[str, Tensor], count: int, prefix: str, what: str, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """What a shard says of its edges, a tensor a layer; nothing if it says nothing."""
    blocks = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    shapes = {f"{prefix}{index}": (count, *pair) for index, pair in enumerate(itertools.pairwise(spec.widths))}
    found = {name: tuple(block.shape) for name, block in blocks.items()}
    if blocks and (found != shapes or any(block.dtype != dtype for block in blocks.values())):
        kind = str(dtype).removeprefix("torch.")
        raise ShapeError(f"{what} must be {shapes} of {kind}, got {found} of {_dtypes(blocks)}")
    return tuple(blocks[name] for name in shapes if blocks)


def _dtypes(tensors: dict[str, Tensor]) -> list[str]:
    return sorted({str(tensor.dtype) for tensor in tensors.values()})
