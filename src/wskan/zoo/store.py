"""Reading a zoo: memory-mapped shards behind one object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Population
from wskan.zoo.manifest import Manifest, sha256, shard_path
from wskan.zoo.recipe import Recipe
from wskan.zoo.targets import SPLITS

FACTS = "facts."  # prefix of a column; every other tensor of a shard belongs to the population


class Zoo:
    """A finished zoo; make one with :func:`open_zoo`.

    Attributes:
        folder: where it lies.
        manifest: its recipe and shards.
        columns: facts about each KAN, ``[n]`` each: ``index``, ``split`` (index into ``SPLITS``), ``source`` (image), ``seed``, ``attempts``,
            ``loss``, ``psnr`` (dB), and ``label``, or ``freq_0`` and ``freq_1``.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._open: dict[int, dict[str, Tensor]] = {}
        columns = [
            {name.removeprefix(FACTS): tensor for name, tensor in self._shard(index).items() if name.startswith(FACTS)}
            for index in range(len(manifest.shards))
        ]
        if any(set(column) != set(columns[0]) for column in columns) or "split" not in columns[0]:
            raise DataError(f"{folder}: shards disagree on their columns; run `wskan zoo verify` and build again")
        self.columns = {name: torch.cat([column[name] for column in columns]) for name in columns[0]}
        for name, column in self.columns.items():
            if not bool(column.isfinite().all()):
                raise DataError(f"{folder}: column {name} is not finite; run `wskan zoo verify`")

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

    def __len__(self) -> int:
        return len(self.recipe)

    def split(self, name: str) -> Tensor:
        """Rows of the ``"train"``, ``"val"`` or ``"test"`` KANs, int64."""
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}; choose from {SPLITS}")
        return (self.columns["split"] == SPLITS.index(name)).nonzero().squeeze(1)

    def population(self, rows: Tensor | slice) -> Population:
        """Some of the KANs, in the order asked for. Only the pages of the files that hold them are read.

        Raises:
            DataError: parameters that are not finite.
        """
        rows = torch.arange(len(self))[rows]
        shard = rows // self.recipe.shard_size
        parts, places = [], []
        for index in sorted(set(shard.tolist())):
            here = (shard == index).nonzero().squeeze(1)
            local = rows[here] - index * self.recipe.shard_size
            tensors = {name: t[local] for name, t in self._shard(index).items() if not name.startswith(FACTS)}
            parts.append(Population.from_tensors(self.spec, tensors))
            places.append(here)
        population = parts[0] if len(parts) == 1 else Population.cat(parts)[torch.cat(places).argsort()]
        if not bool((finite := population.is_finite()).all()):
            raise DataError(f"{self.folder}: KANs {rows[~finite].tolist()[:5]} are not finite; run `wskan zoo verify`")
        return population

    def verify(self) -> None:
        """Check every byte against the manifest.

        Raises:
            DataError: naming the first shard that differs.
        """
        for index, shard in enumerate(self.manifest.shards):
            path = shard_path(self.folder, index)
            if (found := sha256(path)) != shard.sha256:
                raise DataError(
                    f"{path}: its SHA-256 is {found}, the manifest says {shard.sha256}; `wskan zoo build` makes it again"
                )

    def info(self) -> dict[str, Any]:
        """What ``wskan zoo info`` prints, as plain types."""
        psnr, quantiles = self.columns["psnr"], (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)
        seconds = sum(shard.seconds for shard in self.manifest.shards)
        return {
            "recipe": self.recipe.to_dict(),
            "digest": self.digest,
            "counts": {name: len(self.split(name)) for name in SPLITS},
            "bytes": sum(shard.size for shard in self.manifest.shards),
            "psnr_mean": float(psnr.mean()),
            "psnr_quantiles": {str(q): float(psnr.quantile(q)) for q in quantiles},
            "psnr_above_40": float((psnr > 40).float().mean()),
            "retried": int((self.columns["attempts"] > 0).sum()),
            "seconds": seconds,
            "seconds_per_kan": seconds / len(self),
            "built_with": self.manifest.built_with,
        }

    def _shard(self, index: int) -> dict[str, Tensor]:
        """Memory-mapped tensors of a shard, checked against the specification when first opened."""
        if index not in self._open:
            path, count = shard_path(self.folder, index), len(self.recipe.shard_rows(index))
            try:
                with safe_open(path, framework="pt") as file:
                    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            except (OSError, SafetensorError) as error:
                raise DataError(f"{path}: cannot be read ({error}); `wskan zoo build` makes it again") from error
            parameters = {name: tensor for name, tensor in tensors.items() if not name.startswith(FACTS)}
            try:
                Population.from_tensors(self.spec, parameters)
            except ShapeError as error:
                raise DataError(f"{path}: {error}; `wskan zoo build` makes it again") from error
            if any(t.shape[0] != count for t in tensors.values()) or any(
                t.dtype != torch.float32 for t in parameters.values()
            ):
                raise DataError(f"{path}: not {count} KANs in single precision; `wskan zoo build` makes it again")
            self._open[index] = tensors
        return self._open[index]


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
            raise DataError(
                f"{path}: {found:,} bytes, the manifest says {shard.size:,}; `wskan zoo build` makes it again"
            )
    return Zoo(folder, manifest)
