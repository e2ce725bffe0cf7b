"""All shards of a zoo, opened together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan.layer import FIELDS
from wskan.zoo.manifest import shard_path
from wskan.zoo.recipe import Recipe
from wskan.zoo.shard import OpenShard, open_shard
from wskan.zoo.shard_file import REBUILD_HINT, ShardFile

Pick = Callable[[OpenShard], Tensor]  # chooses a tensor of a shard


class Shards:
    """The shards of a zoo, which have the same columns, masks, scores and precision.

    Args:
        folder: folder of the zoo.
        recipe: recipe of the zoo.

    Attributes:
        files: file of each shard.
        columns: columns of the zoo by name, ``[n]`` each.
        dtype: precision of weights and coefficients.
        has_masks, has_scores: whether there are masks and scores of a pruning oracle.
        uniform_grid: whether all KANs have the uniform grid, which is then not stored per KAN.

    Raises:
        DataError: a shard is damaged, or shards do not fit each other.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder, self._recipe = folder, recipe
        self.files = [ShardFile(shard_path(folder, index)) for index in range(recipe.num_shards)]
        self._shards = [self._open(index) for index in range(recipe.num_shards)]
        first = self._shards[0]
        if len({_structure(shard) for shard in self._shards}) > 1 or "split" not in first.columns:
            raise DataError(
                f"{folder}: shards disagree on columns, masks, scores or precision; "
                "run `wskan zoo verify` and build again"
            )
        self.columns = {name: torch.cat([shard.columns[name] for shard in self._shards]) for name in first.columns}
        self.dtype, self.has_masks, self.has_scores = first.dtype, bool(first.masks), bool(first.scores)
        self.uniform_grid = all(shard.population.uniform_grid for shard in self._shards)

    def _open(self, index: int) -> OpenShard:
        file, count = self.files[index], len(self._recipe.shard_rows(index))
        try:
            return open_shard(self._recipe.spec, file.tensors, count)
        except (DataError, ShapeError) as error:
            raise DataError(f"{file.path}: {error}; {REBUILD_HINT}") from error

    def parameters(self, rows: Tensor, dtype: torch.dtype) -> list[dict[str, Tensor]]:
        """Read the parameters of some KANs, for each layer by name.

        The uniform grid is left out. Knots are in single precision, the others in ``dtype``.

        Raises:
            DataError: see :meth:`gather`.
        """
        names = [name for name in FIELDS if not (name == "knots" and self.uniform_grid)]
        picks: list[tuple[Pick, torch.dtype]] = [
            (functools.partial(_parameter, layer, name), torch.float32 if name == "knots" else dtype)
            for layer in range(self._recipe.spec.num_layers)
            for name in names
        ]
        tensors = iter(self.gather(rows, picks))
        return [{name: next(tensors) for name in names} for _ in range(self._recipe.spec.num_layers)]

    def masks(self, rows: Tensor) -> list[Tensor]:
        """Read the masks of some KANs, ``[n, n_l, n_{l+1}]`` uint8 per layer.

        Raises:
            DataError: see :meth:`gather`.
        """
        return self.gather(rows, [(_mask(layer), torch.uint8) for layer in range(self._recipe.spec.num_layers)])

    def scores(self, rows: Tensor) -> list[Tensor]:
        """Read the scores of the edges of some KANs, ``[n, n_l, n_{l+1}]`` float32 per layer.

        Raises:
            DataError: see :meth:`gather`.
        """
        picks = [(_score(layer), torch.float32) for layer in range(self._recipe.spec.num_layers)]
        return self.gather(rows, picks, "scores of the edges of KANs")

    def gather(self, rows: Tensor, picks: list[tuple[Pick, torch.dtype]], what: str = "KANs") -> list[Tensor]:
        """Read the same rows of several tensors ``[n, ...]``, which are distributed over the shards.

        Besides the results, no more than the rows of one tensor of one shard are in memory at once.

        Args:
            rows: rows of the zoo, ``[m]`` int64.
            picks: for each tensor, a function that chooses it from a shard, and the dtype of the result.
            what: name of the tensors, for messages.

        Raises:
            DataError: a number is not finite, or a shard was changed or truncated since the zoo was opened.
        """
        results = [torch.empty(len(rows), *pick(self._shards[0]).shape[1:], dtype=dtype) for pick, dtype in picks]
        shard_of_row = rows // self._recipe.shard_size
        for index in sorted(set(shard_of_row.tolist())):
            positions = (shard_of_row == index).nonzero().squeeze(1)
            with self.files[index].rows(rows[positions] - index * self._recipe.shard_size) as read:
                for (pick, dtype), result in zip(picks, results, strict=True):
                    piece = read(pick(self._shards[index]))
                    if piece.is_floating_point() and not bool(piece.isfinite().all()):
                        bad = rows[positions[~piece.isfinite().flatten(1).all(1)]].tolist()
                        raise DataError(f"{self._folder}: {what} {bad[:5]} are not finite; run `wskan zoo verify`")
                    result[positions] = piece.to(dtype)
        return results


def _structure(shard: OpenShard) -> tuple[object, ...]:
    """Return what must be the same in all shards."""
    columns = frozenset((name, column.dtype) for name, column in shard.columns.items())
    return columns, len(shard.masks), len(shard.scores), shard.dtype


def _parameter(layer: int, name: str, shard: OpenShard) -> Tensor:
    """Return a parameter of all KANs of a shard, ``[n, ...]``. A shared grid is repeated."""
    parameters = shard.population.layers[layer]
    tensor: Tensor = getattr(parameters, name)
    return tensor.expand(*parameters.coef.shape[:2], -1) if name == "knots" else tensor


def _mask(layer: int) -> Pick:
    return lambda shard: shard.masks[layer]


def _score(layer: int) -> Pick:
    return lambda shard: shard.scores[layer]
