"""Reading a zoo: shards behind one object, read where and when they are asked for."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Layer, Population
from wskan.kan.check_layers import check_knots
from wskan.kan.layer import FIELDS
from wskan.zoo.manifest import Manifest, sha256, shard_path
from wskan.zoo.recipe import Recipe
from wskan.zoo.shard import OpenShard, open_shard
from wskan.zoo.shard_file import AGAIN, ShardFile
from wskan.zoo.storage import SPLITS

Pick = Callable[[OpenShard], Tensor]  # a tensor of a shard


class Zoo:
    """A finished zoo; make one with :func:`open_zoo`.

    Attributes:
        folder: where it lies.
        manifest: its recipe and shards.
        columns: facts about each KAN, ``[n]`` each: ``index``, ``split`` (index into ``SPLITS``), ``seed``, ``attempts``, ``loss``. Where KANs represent
            signals: ``source`` (which image of its file: that of the training images, for test KANs that of the test images), ``psnr`` (dB), and ``label``, or ``freq_0`` and ``freq_1``.
            Where they are classifiers: ``accuracy`` on test images and ``noise``, the share of training labels that were permuted, both in [0, 1].
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._files = [ShardFile(shard_path(folder, index)) for index in range(len(manifest.shards))]
        shards = self._shards = [self._open(index) for index in range(len(manifest.shards))]
        if (
            len(
                {
                    (frozenset((n, t.dtype) for n, t in s.facts.items()), len(s.masks), len(s.scores), s.dtype)
                    for s in shards
                }
            )
            > 1
            or "split" not in shards[0].facts
        ):
            raise DataError(
                f"{folder}: shards disagree on columns, masks, scores or precision; "
                "run `wskan zoo verify` and build again"
            )
        self.columns = {name: torch.cat([shard.facts[name] for shard in shards]) for name in shards[0].facts}
        for name, column in self.columns.items():
            if not bool(column.isfinite().all()):
                raise DataError(f"{folder}: column {name} is not finite; run `wskan zoo verify`")
            if name in ("accuracy", "noise") and not bool(((column >= 0) & (column <= 1)).all()):
                raise DataError(f"{folder}: column {name} is not in [0, 1]; run `wskan zoo verify`")
        if not torch.equal(self.columns["split"].long(), self.recipe.splits()):
            raise DataError(f"{folder}: column split is not that of the recipe; run `wskan zoo verify`")

    aligned = False  # whether hidden neurons were permuted to match those of a reference (wskan.align)

    @property
    def recipe(self) -> Recipe:
        """What it was built from."""
        return self.manifest.recipe

    @property
    def spec(self) -> KANSpec:
        """Architecture of its KANs."""
        return self.recipe.spec

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name it."""
        return self.recipe.digest

    @property
    def checksum(self) -> str:
        """SHA-256 of the checksums of its shards: of what is in it, where :attr:`digest` says what was asked for."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.manifest.shards).encode()).hexdigest()

    @property
    def dtype(self) -> torch.dtype:
        """Precision in which weights and coefficients are stored."""
        return self._shards[0].dtype

    @property
    def has_masks(self) -> bool:
        """Whether an oracle has said of each edge whether it can be pruned."""
        return len(self._shards[0].masks) > 0

    @property
    def has_scores(self) -> bool:
        """Whether it keeps the scores that the oracle's masks come from."""
        return len(self._shards[0].scores) > 0

    def __len__(self) -> int:
        return len(self.recipe)

    def split(self, name: str) -> Tensor:
        """Rows of the ``"train"``, ``"val"`` or ``"test"`` KANs, int64."""
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}; choose from {SPLITS}")
        return (self.columns["split"] == SPLITS.index(name)).nonzero().squeeze(1)

    def rows(self, rows: Tensor | slice | str) -> Tensor:
        """Resolve a choice of KANs to their rows, int64: a split's name, a slice, rows or a mask."""
        return self.split(rows) if isinstance(rows, str) else torch.arange(len(self))[rows]

    def population(self, rows: Tensor | slice | str, *, stored: bool = False) -> Population:
        """Some of the KANs, in the order asked for. Nothing else is read, and each number is written once, into its place.

        Args:
            rows: which.
            stored: weights and coefficients in the precision in which they are stored, not in single precision.

        Raises:
            DataError: parameters that are not finite, or a shard that was changed or cut since the zoo was opened.
        """
        rows = self.rows(rows)
        dtype = self.dtype if stored else torch.float32
        uniform = all(shard.population.uniform_grid for shard in self._shards)
        wanted = {
            (layer, name): (functools.partial(_parameters, layer, name), torch.float32 if name == "knots" else dtype)
            for layer in range(self.spec.num_layers)
            for name in FIELDS
            if not (name == "knots" and uniform)
        }
        found = dict(zip(wanted, self._gather(rows, list(wanted.values())), strict=True))
        shared = self.spec.basis_functions.knots().expand(1, 1, -1)
        layers = [
            Layer(**{name: found.get((layer, name), shared) for name in FIELDS})
            for layer in range(self.spec.num_layers)
        ]
        if not all(bool(((layer.mask == 0) | (layer.mask == 1)).all()) for layer in layers):
            raise DataError(f"{self.folder}: edges exist (mask 1) or not (0), some do neither; run `wskan zoo verify`")
        for index, layer in enumerate(layers):
            if len(rows):
                check_knots(layer.knots, f"{self.folder}: layers.{index}.knots")
        return Population(self.spec, layers)

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Which edges of some of the KANs the oracle keeps, one ``[n, n_l, n_{l+1}]`` bool a layer.

        Raises:
            DataError: the zoo has none, or they are damaged.
        """
        self.check_masks()
        masks = self._gather_layers(rows, lambda layer, shard: shard.masks[layer], torch.uint8)
        if wrong := [mask for mask in masks if bool((mask > 1).any())]:
            raise DataError(f"{self.folder}: masks must be 0 or 1, got {int(wrong[0].max())}; run `wskan zoo verify`")
        return [mask.view(torch.bool) for mask in masks]

    def check_masks(self) -> None:
        """Refuse a zoo without masks.

        Raises:
            DataError: saying what to do.
        """
        if not self.has_masks:
            raise DataError(
                f"{self.folder} has no pruning masks: only zoos of classifiers have; build one, see `wskan zoo build --help`"
            )

    def scores(self, rows: Tensor | slice) -> list[Tensor]:
        """Natural logarithms of the oracle's scores of the edges of some of the KANs, one ``[n, n_l, n_{l+1}]`` float32
        a layer. They are stored in half precision, three digits; scores below 1e-6 count as that.

        Raises:
            DataError: the zoo has none, or they are damaged.
        """
        self.check_scores()
        what = "scores of the edges of KANs"
        return self._gather_layers(rows, lambda layer, shard: shard.scores[layer], torch.float32, what)

    def check_scores(self) -> None:
        """Refuse a zoo without scores of edges.

        Raises:
            DataError: saying what to do.
        """
        if not self.has_scores:
            raise DataError(
                f"{self.folder} has no scores of edges: build a zoo of classifiers with `wskan zoo build --scores`"
            )

    def verify(self) -> None:
        """Check every byte against the manifest.

        Raises:
            DataError: naming the first shard that differs.
        """
        for index, shard in enumerate(self.manifest.shards):
            path = shard_path(self.folder, index)
            if (found := sha256(path)) != shard.sha256:
                raise DataError(f"{path}: its SHA-256 is {found}, the manifest says {shard.sha256}; {AGAIN}")

    def info(self) -> dict[str, Any]:
        """What ``wskan zoo info`` prints, as plain types."""
        seconds = sum(shard.seconds for shard in self.manifest.shards)
        return {
            "recipe": self.recipe.to_dict(),
            "digest": self.digest,
            "counts": {name: len(self.split(name)) for name in SPLITS},
            "bytes": sum(shard.size for shard in self.manifest.shards),
            **self._summaries(),
            "retried": int((self.columns["attempts"] > 0).sum()),
            "seconds": seconds,
            "seconds_per_kan": seconds / len(self),
            "built_with": self.manifest.built_with,
        }

    def _summaries(self) -> dict[str, Any]:
        """Of the columns that say how good the KANs are, and of the masks, where there are any."""
        summaries: dict[str, Any] = {}
        for name in ("psnr", "accuracy", "noise"):
            if (column := self.columns.get(name)) is not None:
                column = column.float()  # whole numbers have no quantiles
                quantiles = {str(q): float(column.quantile(q)) for q in (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)}
                summaries |= {f"{name}_mean": float(column.mean()), f"{name}_quantiles": quantiles}
        if "psnr" in self.columns:
            summaries["psnr_above_40"] = float((self.columns["psnr"] > 40).float().mean())
        if self.has_masks:
            kept = sum(int(mask.sum()) for mask in self.masks(slice(None)))
            summaries["kept_mean"] = kept / (len(self) * self.spec.num_edges)
        return summaries

    def _gather_layers(
        self, rows: Tensor | slice, pick: Callable[[int, OpenShard], Tensor], dtype: torch.dtype, what: str = "KANs"
    ) -> list[Tensor]:
        """One tensor a layer."""
        picks: list[tuple[Pick, torch.dtype]] = [
            (functools.partial(pick, layer), dtype) for layer in range(self.spec.num_layers)
        ]
        return self._gather(torch.arange(len(self))[rows], picks, what)

    def _gather(self, rows: Tensor, picks: list[tuple[Pick, torch.dtype]], what: str = "KANs") -> list[Tensor]:
        """Rows of tensors ``[n, ...]`` that lie in pieces in the shards. Beside the results, there are never more than
        the rows of one tensor of one shard in memory.
        """
        results = [torch.empty(len(rows), *pick(self._shards[0]).shape[1:], dtype=dtype) for pick, dtype in picks]
        shard = rows // self.recipe.shard_size
        for index in sorted(set(shard.tolist())):
            here = (shard == index).nonzero().squeeze(1)
            with self._files[index].rows(rows[here] - index * self.recipe.shard_size) as read:
                for (pick, dtype), result in zip(picks, results, strict=True):
                    piece = read(pick(self._shards[index]))
                    if piece.is_floating_point() and not bool(piece.isfinite().all()):
                        bad = rows[here[~piece.isfinite().flatten(1).all(1)]].tolist()
                        raise DataError(f"{self.folder}: {what} {bad[:5]} are not finite; run `wskan zoo verify`")
                    result[here] = piece.to(dtype)
        return results

    def _open(self, index: int) -> OpenShard:
        """A shard, checked against the specification."""
        file, count = self._files[index], len(self.recipe.shard_rows(index))
        try:
            return open_shard(self.spec, file.tensors, count)
        except (DataError, ShapeError) as error:
            raise DataError(f"{file.path}: {error}; {AGAIN}") from error


def _parameters(layer: int, name: str, shard: OpenShard) -> Tensor:
    """Of all KANs of a shard, ``[n, ...]``, a shared grid repeated."""
    population = shard.population
    tensor: Tensor = getattr(population.layers[layer], name)
    return tensor.expand(*population.layers[layer].coef.shape[:2], -1) if name == "knots" else tensor


def open_zoo(folder: Path | str) -> Zoo:
    """Open a finished zoo. Reads its manifest and columns; checks sizes and shapes, not checksums (see :meth:`Zoo.verify`).

    Raises:
        DataError: it is missing, unfinished, damaged, or of a format that this version does not know.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    if len(manifest.shards) < manifest.recipe.num_shards:
        raise DataError(
            f"{folder} is unfinished: {len(manifest.shards)} of {manifest.recipe.num_shards} shards; "
            "run `wskan zoo build` again to finish it"
        )
    for index, shard in enumerate(manifest.shards):
        path = shard_path(folder, index)
        if not path.exists() or path.stat().st_size != shard.size:
            found = path.stat().st_size if path.exists() else 0
            raise DataError(f"{path}: {found:,} bytes, the manifest says {shard.size:,}; {AGAIN}")
    return Zoo(folder, manifest)
