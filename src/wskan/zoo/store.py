"""Reading a zoo from its shards, which are read only when they are needed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import KANSpec, Layer, Population
from wskan.kan.check_layers import check_knots
from wskan.zoo.manifest import Manifest, sha256, shard_path
from wskan.zoo.quality import quality
from wskan.zoo.recipe import Recipe
from wskan.zoo.shard_file import REBUILD_HINT
from wskan.zoo.shards import Shards
from wskan.zoo.storage import SPLITS


class Zoo:
    """A finished zoo; :func:`open_zoo` opens one.

    Every zoo has the columns ``index``, ``split`` (index into ``SPLITS``), ``seed``, ``attempts`` and ``loss``.

    Zoos of signals also have ``source``, ``psnr`` (dB), and ``label`` or ``freq_0`` and ``freq_1``. ``source`` is the
    index of the image: among the test images for test KANs, among the training images for others.

    Zoos of classifiers have ``accuracy`` on the test images, and ``noise``, the share of permuted training labels. Both
    are in [0, 1].

    Attributes:
        folder: folder of the zoo.
        manifest: its recipe and shards.
        columns: columns by name, ``[n]`` each.
        aligned: whether hidden neurons were permuted to match those of a reference (:func:`wskan.align.align_zoo`).

    Example:
        >>> import wskan
        >>> from wskan.testing import FakeZoo
        >>> zoo = FakeZoo()  # wskan.open_zoo(folder) opens a zoo from disk
        >>> zoo.population("test")
        Population(20 KANs [2, 4, 4, 1], bspline, G=4, k=3)
        >>> zoo.columns["label"][zoo.split("test")[:4]]
        tensor([1, 2, 2, 5])
    """

    aligned = False

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._shards = Shards(folder, manifest.recipe)
        self.columns = self._shards.columns
        for name, column in self.columns.items():
            if not bool(column.isfinite().all()):
                raise DataError(f"{folder}: column {name} is not finite; run `wskan zoo verify`")
            if name in ("accuracy", "noise") and not bool(((column >= 0) & (column <= 1)).all()):
                raise DataError(f"{folder}: column {name} is not in [0, 1]; run `wskan zoo verify`")
        if not torch.equal(self.columns["split"].long(), self.recipe.splits()):
            raise DataError(f"{folder}: column split is not that of the recipe; run `wskan zoo verify`")

    @property
    def recipe(self) -> Recipe:
        """Recipe of the zoo."""
        return self.manifest.recipe

    @property
    def spec(self) -> KANSpec:
        """Architecture of the KANs."""
        return self.recipe.spec

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify the recipe."""
        return self.recipe.digest

    @property
    def checksum(self) -> str:
        """SHA-256 of the checksums of all shards, which identifies the content."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.manifest.shards).encode()).hexdigest()

    @property
    def dtype(self) -> torch.dtype:
        """Precision in which weights and coefficients are stored."""
        return self._shards.dtype

    @property
    def has_masks(self) -> bool:
        """True if the zoo contains the masks of a pruning oracle."""
        return self._shards.has_masks

    @property
    def has_scores(self) -> bool:
        """True if the zoo contains the scores of a pruning oracle."""
        return self._shards.has_scores

    def __len__(self) -> int:
        return len(self.recipe)

    def split(self, name: str) -> Tensor:
        """Return the rows of the ``"train"``, ``"val"`` or ``"test"`` KANs, int64.

        Raises:
            DataError: unknown split.
        """
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}; choose from {', '.join(SPLITS)}")
        return (self.columns["split"] == SPLITS.index(name)).nonzero().squeeze(1)

    def rows(self, rows: Tensor | slice | str) -> Tensor:
        """Convert a choice of KANs to their rows, int64: the name of a split, a slice, rows or a mask."""
        return self.split(rows) if isinstance(rows, str) else torch.arange(len(self))[rows]

    def population(self, rows: Tensor | slice | str, *, stored: bool = False) -> Population:
        """Read some of the KANs, in the order of ``rows``.

        Args:
            rows: the name of a split, a slice, rows or a mask.
            stored: return weights and coefficients in the precision in which they are stored. By default they are in
                single precision.

        Raises:
            DataError: parameters are not finite, or a shard was changed or truncated since the zoo was opened.
        """
        rows = self.rows(rows)
        shared_grid = {"knots": self.spec.basis_functions.knots().expand(1, 1, -1)}
        parameters = self._shards.parameters(rows, self.dtype if stored else torch.float32)
        layers = [Layer(**{**shared_grid, **tensors}) for tensors in parameters]
        if not all(bool(((layer.mask == 0) | (layer.mask == 1)).all()) for layer in layers):
            raise DataError(
                f"{self.folder}: masks of edges must be 1 (exists) or 0 (absent), some are neither; "
                "run `wskan zoo verify`"
            )
        for index, layer in enumerate(layers):
            if len(rows):
                check_knots(layer.knots, f"{self.folder}: layers.{index}.knots")
        return Population(self.spec, layers)

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Read the oracle's masks of some of the KANs, ``[n, n_l, n_{l+1}]`` bool per layer, true for edges to keep.

        Raises:
            DataError: the zoo has no masks, or they are damaged.
        """
        self.check_masks()
        masks = self._shards.masks(self.rows(rows))
        if wrong := [mask for mask in masks if bool((mask > 1).any())]:
            raise DataError(f"{self.folder}: masks must be 0 or 1, got {int(wrong[0].max())}; run `wskan zoo verify`")
        return [mask.view(torch.bool) for mask in masks]

    def check_masks(self) -> None:
        """Raise if the zoo has no masks.

        Raises:
            DataError: the zoo has no masks.
        """
        if not self.has_masks:
            raise DataError(
                f"{self.folder} has no pruning masks: only zoos of classifiers do; "
                "build one, see `wskan zoo build --help`"
            )

    def scores(self, rows: Tensor | slice) -> list[Tensor]:
        """Read the oracle's scores of the edges of some of the KANs, as natural logarithms.

        They are stored in half precision, which is three digits. Scores below 1e-6 are stored as 1e-6.

        Returns:
            ``[n, n_l, n_{l+1}]`` float32 per layer.

        Raises:
            DataError: the zoo has no scores, or they are damaged.
        """
        self.check_scores()
        return self._shards.scores(self.rows(rows))

    def check_scores(self) -> None:
        """Raise if the zoo has no scores of edges.

        Raises:
            DataError: the zoo has no scores.
        """
        if not self.has_scores:
            raise DataError(
                f"{self.folder} has no scores of edges: build a zoo of classifiers with `wskan zoo build --scores`"
            )

    def verify(self) -> None:
        """Check every byte against the manifest.

        Raises:
            DataError: a shard differs. The message names the first one.
        """
        for index, shard in enumerate(self.manifest.shards):
            path = shard_path(self.folder, index)
            if (actual := sha256(path)) != shard.sha256:
                raise DataError(f"{path}: its SHA-256 is {actual}, the manifest says {shard.sha256}; {REBUILD_HINT}")

    def info(self) -> dict[str, Any]:
        """Summarise the zoo in plain types, as ``wskan zoo info`` prints it.

        Raises:
            DataError: masks are damaged.
        """
        seconds = sum(shard.seconds for shard in self.manifest.shards)
        return {
            "recipe": self.recipe.to_dict(),
            "digest": self.digest,
            "counts": {name: len(self.split(name)) for name in SPLITS},
            "bytes": sum(shard.size for shard in self.manifest.shards),
            **quality(self.columns, self.masks(slice(None)) if self.has_masks else []),
            "retried": int((self.columns["attempts"] > 0).sum()),
            "seconds": seconds,
            "seconds_per_kan": seconds / len(self),
            "built_with": self.manifest.built_with,
        }


def open_zoo(folder: Path | str) -> Zoo:
    """Open a finished zoo.

    The manifest and the columns are read, and sizes and shapes are checked. Checksums are not (see :meth:`Zoo.verify`).

    Raises:
        DataError: the zoo is missing, unfinished, damaged, or of an unknown format version.

    Example:
        >>> import wskan
        >>> wskan.open_zoo("no/such/folder")
        Traceback (most recent call last):
        wskan.errors.DataError: no/such/folder is not a zoo: it has no manifest.json; build one with `wskan zoo build`
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
        size = path.stat().st_size if path.exists() else 0
        if not path.exists() or size != shard.size:
            raise DataError(f"{path}: {size:,} bytes, the manifest says {shard.size:,}; {REBUILD_HINT}")
    return Zoo(folder, manifest)
