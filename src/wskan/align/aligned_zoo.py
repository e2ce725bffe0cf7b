"""Align a whole zoo to the mean of some of its training KANs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from wskan.align.alignment_file import (
    Alignment,
    holds_alignment,
    read_alignment,
    write_alignment,
)
from wskan.align.features import check_alignable
from wskan.align.merge_many import MergeResult, check_options, merge_many, random_rows
from wskan.align.weight_matching import weight_matching
from wskan.errors import DataError
from wskan.files import digest
from wskan.kan import Permutation, Population
from wskan.kan.layer import FIELDS
from wskan.locks import hold, sweep
from wskan.zoo import Zoo

BATCH, BATCH_PARAMETERS = 1024, 2**26  # at most this many KANs, and parameters, are aligned at once
PERMUTED_PARAMETERS = 2**22  # permuted at once


class AlignedZoo(Zoo):
    """A zoo whose KANs have permuted hidden neurons and are otherwise unchanged; :func:`align_zoo` makes one.

    Attributes:
        zoo: the original zoo.
        folder: folder of the alignment.
        reference: the KAN that all others were aligned to, a population of one.
        permutation, distance_before, distance_after: see :class:`wskan.align.MatchingResult`. Row i belongs to KAN i.
    """

    aligned = True

    def __init__(self, zoo: Zoo, folder: Path, arguments: dict[str, Any], alignment: Alignment) -> None:
        self.zoo, self.folder, self.manifest, self.columns = zoo, folder, zoo.manifest, zoo.columns
        self.reference, self.permutation = alignment.reference, alignment.permutation
        self.distance_before, self.distance_after = alignment.distance_before, alignment.distance_after
        self._arguments = arguments

    @property
    def digest(self) -> str:
        """Return twelve hexadecimal digits that identify zoo and alignment."""
        return digest({"zoo": self.zoo.digest, "align": self._arguments}, 12)

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision in which parameters are stored."""
        return self.zoo.dtype

    @property
    def has_masks(self) -> bool:
        """Return whether the zoo holds an oracle's masks of the edges to keep."""
        return self.zoo.has_masks

    @property
    def has_scores(self) -> bool:
        """Return whether the zoo holds the oracle's scores."""
        return self.zoo.has_scores

    def population(self, rows: Tensor | slice | str, *, stored: bool = False) -> Population:
        """Return some of the KANs, permuted, in the requested order.

        They are permuted in place, a few at a time, so that memory never holds them twice.
        """
        rows = self.rows(rows)
        kans, permutation = self.zoo.population(rows, stored=stored), self.permutation[rows]
        step = max(1, PERMUTED_PARAMETERS // self.spec.num_parameters)
        for begin in range(0, len(kans), step):
            part = kans[begin : begin + step]
            _overwrite(part, part.permute(permutation[begin : begin + step]))
        return kans

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Return which edges of some of the KANs the oracle keeps, permuted like the KANs."""
        return self.permutation[rows].edges(self.zoo.masks(rows))

    def scores(self, rows: Tensor | slice) -> list[Tensor]:
        """Return the logarithms of the oracle's scores of the edges of some of the KANs, permuted like the KANs."""
        return self.permutation[rows].edges(self.zoo.scores(rows))

    def verify(self) -> None:
        """Check every byte of the zoo against its manifest. The alignment was checked when it was opened."""
        self.zoo.verify()


def align_zoo(
    zoo: Zoo,
    folder: Path | str,
    *,
    subset: int = 1000,
    tolerance: float = 1e-3,
    seed: int = 0,
    progress: bool = False,
) -> AlignedZoo:
    """Align all KANs of a zoo (paper, appendix D.1).

    MergeMany on a random choice of *training* KANs gives the reference. Weight matching aligns the KANs of all splits
    to it. Validation and test KANs do not influence the reference.

    Args:
        zoo: the zoo to align. It is not changed.
        folder: folder for permutations, reference and distances. A finished alignment of the same zoo and arguments is
            opened.
        subset, tolerance, seed: see :func:`wskan.align.merge_many`.
        progress: show a progress bar.

    Raises:
        ShapeError: The KANs have no hidden layer.
        DataError: There are fewer than two training KANs; the folder holds something else or a damaged alignment;
            another process uses the folder; or the disk is full.
    """
    folder = Path(folder)
    arguments = {"subset": subset, "tolerance": tolerance, "seed": seed}
    check_alignable(zoo.spec)
    check_options(subset, tolerance, seed)
    if holds_alignment(folder):
        sweep(folder)
    else:
        with hold(folder, "a zoo is aligned"):
            if not holds_alignment(folder):  # another process may have finished one
                with _progress_bar(len(zoo), progress) as report:
                    merge = _merge(zoo, subset, tolerance, seed, report)
                    alignment = _align(zoo, merge.mean, report)
                summary = {"merged": len(merge.rows), "distance": merge.distance.tolist(), "converged": merge.converged}
                write_alignment(folder, zoo, arguments, summary, alignment)
    return AlignedZoo(zoo, folder, arguments, read_alignment(folder, zoo, arguments))


def _overwrite(kans: Population, others: Population) -> None:
    for layer, other in zip(kans.layers, others.layers, strict=True):
        for name in FIELDS:
            if name != "knots" or not layer.shared_knots:
                getattr(layer, name).copy_(getattr(other, name))


class _Report(Protocol):
    def __call__(self, what: str, done: int = 0) -> None: ...


def _merge(zoo: Zoo, subset: int, tolerance: float, seed: int, report: _Report) -> MergeResult:
    train = zoo.split("train")
    if min(len(train), subset) < 2:
        raise DataError(
            f"{zoo.folder}: a reference needs at least two KANs, got {len(train)} training KANs and subset {subset}"
        )
    report("merging")
    rows = train[random_rows(len(train), subset, torch.Generator().manual_seed(seed))]
    return merge_many(
        zoo.population(rows),
        subset=len(rows),
        tolerance=tolerance,
        seed=seed,
        progress=lambda number, distance: report(f"merging, pass {number}: mean distance² {distance:.4g}"),
    )


def _align(zoo: Zoo, reference: Population, report: _Report) -> Alignment:
    parts, size = [], max(1, min(BATCH, BATCH_PARAMETERS // zoo.spec.num_parameters))
    for begin in range(0, len(zoo), size):
        report("aligning", begin)
        parts.append(weight_matching(zoo.population(slice(begin, begin + size)), reference))
    report("aligning", len(zoo))
    return Alignment(
        reference=reference,
        permutation=Permutation.cat([part.permutation for part in parts]),
        distance_before=torch.cat([part.distance_before for part in parts]),
        distance_after=torch.cat([part.distance_after for part in parts]),
    )


@contextlib.contextmanager
def _progress_bar(total: int, shown: bool) -> Iterator[_Report]:
    if not shown:
        yield lambda what, done=0: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("KANs"))
    with Progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("merging", total=total)
        yield lambda what, done=0: bar.update(task, description=what, completed=done)
