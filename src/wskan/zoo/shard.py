"""The tensors of a shard, checked against the specification of its KANs."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Population
from wskan.reading import shown
from wskan.zoo.storage import ORACLE, SCORE

COLUMNS = "facts."  # prefix of columns in a shard
PARAMETER_DTYPES = (torch.float32, torch.float16)  # of weights and coefficients; knots are always float32
COLUMN_DTYPES = (torch.int64, torch.int32, torch.uint8, torch.float32, torch.float64)


class OpenShard(NamedTuple):
    """The memory-mapped tensors of a shard.

    Attributes:
        population: KANs of the shard.
        columns: columns by name, ``[n]`` each.
        masks: masks of the pruning oracle, ``[n, n_l, n_{l+1}]`` uint8 per layer; empty if the zoo has none.
        scores: natural logarithms of the oracle's scores, ``[n, n_l, n_{l+1}]`` float16 per layer; empty if the zoo has
            none.
    """

    population: Population
    columns: dict[str, Tensor]
    masks: tuple[Tensor, ...]
    scores: tuple[Tensor, ...]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of weights and coefficients."""
        return self.population.layers[0].coef.dtype


def open_shard(spec: KANSpec, tensors: dict[str, Tensor], count: int) -> OpenShard:
    """Sort the tensors of a shard into KANs, columns, masks and scores.

    Args:
        spec: specification of the KANs.
        tensors: all tensors of the shard by name.
        count: expected number of KANs.

    Raises:
        ShapeError: a tensor has another shape.
        DataError: unknown or missing tensors, or a tensor of another dtype.
    """
    if wrong := [name for name, tensor in tensors.items() if tensor.shape[:1] != (count,)]:
        raise ShapeError(f"{sorted(wrong)[:5]} are not of {count} KANs")
    columns = {name.removeprefix(COLUMNS): tensor for name, tensor in tensors.items() if name.startswith(COLUMNS)}
    _check_columns(columns)
    masks = _edge_blocks(spec, tensors, count, ORACLE, "pruning masks", torch.uint8)
    scores = _edge_blocks(spec, tensors, count, SCORE, "scores of edges", torch.float16)
    if scores and not masks:
        raise DataError("scores of edges, but no pruning masks")
    parameters = {name: t for name, t in tensors.items() if not name.startswith((COLUMNS, ORACLE, SCORE))}
    dtype = _parameter_dtype(parameters)
    for index, pair in enumerate(itertools.pairwise(spec.widths)):  # expanded tensors take no memory
        parameters.setdefault(f"layers.{index}.mask", torch.ones((), dtype=dtype).expand(count, *pair))
    return OpenShard(Population.from_tensors(spec, parameters, check_values=False), columns, masks, scores)


def _check_columns(columns: dict[str, Tensor]) -> None:
    if wrong := [name for name, column in columns.items() if column.ndim != 1]:
        raise ShapeError(f"columns {sorted(wrong)[:5]} have more than one number per KAN")
    if wrong := [name for name, column in columns.items() if column.dtype not in COLUMN_DTYPES]:
        raise DataError(
            f"columns {shown(sorted(wrong)[:5])} contain numbers of {_dtypes(columns)}, not of {list(COLUMN_DTYPES)}"
        )


def _parameter_dtype(parameters: dict[str, Tensor]) -> torch.dtype:
    """Return the dtype of weights and coefficients."""
    knots = {tensor.dtype for name, tensor in parameters.items() if name.endswith("knots")}
    others = {tensor.dtype for name, tensor in parameters.items() if not name.endswith("knots")}
    if len(others) != 1 or not others <= set(PARAMETER_DTYPES) or not knots <= {torch.float32}:
        raise DataError(
            f"parameters must be all of one of {PARAMETER_DTYPES}, knots of the first, got {_dtypes(parameters)}"
        )
    return others.pop()


def _edge_blocks(
    spec: KANSpec, tensors: dict[str, Tensor], count: int, prefix: str, what: str, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Return the tensors of a prefix, one per layer, or none if the shard has none."""
    blocks = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    shapes = {f"{prefix}{index}": (count, *pair) for index, pair in enumerate(itertools.pairwise(spec.widths))}
    actual = {name: tuple(block.shape) for name, block in blocks.items()}
    if blocks and (actual != shapes or any(block.dtype != dtype for block in blocks.values())):
        kind = str(dtype).removeprefix("torch.")
        raise ShapeError(f"{what} must be {shapes} of {kind}, got {actual} of {_dtypes(blocks)}")
    return tuple(blocks[name] for name in shapes if blocks)


def _dtypes(tensors: dict[str, Tensor]) -> list[str]:
    return sorted({str(tensor.dtype) for tensor in tensors.values()})
