"""Aligning a whole zoo to the mean of some of its training KANs."""

from __future__ import annotations

import contextlib
import hashlib
import json
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
from wskan.align.merge_many import Merge, check_options, merge_many, random_rows
from wskan.align.weight_matching import weight_matching
from wskan.errors import DataError
from wskan.kan import Permutation, Population
from wskan.kan.population import FIELDS
from wskan.locks import hold, sweep
from wskan.zoo import Zoo

BATCH, NUMBERS = 1024, 2**26  # KANs, and parameters of them, that are aligned at once
AT_ONCE = 2**22  # parameters that are permuted at once


class AlignedZoo(Zoo):
    """A zoo whose KANs come with their hidden neurons permuted, everything else as it was; make one with :func:`align_zoo`.

    Attributes:
        zoo: the zoo as it was.
        folder: where the alignment lies.
        reference: the KAN that all were aligned to, a population of one.
        permutation, distance_before, distance_after: see :class:`wskan.align.Matching`; row i belongs to KAN i.
    """

    aligned = True

    def __init__(self, zoo: Zoo, folder: Path, arguments: dict[str, Any], alignment: Alignment) -> None:
        self.zoo, self.folder, self.manifest, self.columns = zoo, folder, zoo.manifest, zoo.columns
        self.reference, self.permutation = alignment.reference, alignment.permutation
        self.distance_before, self.distance_after = alignment.distance_before, alignment.distance_after
        self._arguments = arguments

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name zoo and alignment."""
        text = json.dumps({"zoo": self.zoo.digest, "align": self._arguments}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def dtype(self) -> torch.dtype:
        """Precision in which parameters are stored."""
        return self.zoo.dtype

    @property
    def has_masks(self) -> bool:
        """Whether an oracle has said of each edge whether it can be pruned."""
        return self.zoo.has_masks

    @property
    def has_scores(self) -> bool:
        """Whether the zoo keeps the oracle's scores."""
        return self.zoo.has_scores

    def population(self, rows: Tensor | slice, *, stored: bool = False) -> Population:
        """Some of the KANs, permuted, in the order asked for. They are permuted in place, a few at a time: never in memory twice."""
        kans, permutation = self.zoo.population(rows, stored=stored), self.permutation[rows]
        step = max(1, AT_ONCE // self.spec.num_parameters)
        for begin in range(0, len(kans), step):
            some = slice(begin, begin + step)
            part = kans[some]
            _overwrite(part, part.permute(permutation[some]))
        return kans

    def masks(self, rows: Tensor | slice) -> list[Tensor]:
        """Which edges of some of the KANs the oracle keeps, permuted with them."""
        return self.permutation[rows].edges(self.zoo.masks(rows))

    def scores(self, rows: Tensor | slice) -> list[Tensor]:
        """Logarithms of the oracle's scores of the edges of some of the KANs, permuted with them."""
        return self.permutation[rows].edges(self.zoo.scores(rows))

    def verify(self) -> None:
        """Check every byte of the zoo against its manifest; the alignment was checked when it was opened."""
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

    MergeMany on a random choice of *training* KANs gives the reference, weight matching aligns every KAN, of all splits, to it. Validation and test KANs have
    no part in the reference.

    Args:
        zoo: what to align; it is not changed.
        folder: where permutations, reference and distances are kept. A finished alignment of the same zoo and arguments is opened, not made again.
        subset, tolerance, seed: see :func:`wskan.align.merge_many`.
        progress: show a progress bar.

    Raises:
        ShapeError: KANs without a hidden layer.
        DataError: fewer than two training KANs; a folder that holds something else, or a damaged alignment; another process that aligns in it; a full disk.
    """
    folder = Path(folder)
    arguments = {"subset": subset, "tolerance": tolerance, "seed": seed}
    check_alignable(zoo.spec)
    check_options(subset, tolerance, seed)
    if holds_alignment(folder):
        sweep(folder)
    else:
        with hold(folder, "a zoo is aligned"):
            if not holds_alignment(folder):  # nor has the process before left one
                with _progress_bar(len(zoo), progress) as report:
                    merge = _merge(zoo, subset, tolerance, seed, report)
                    alignment = _align(zoo, merge.mean, report)
                facts = {"merged": len(merge.rows), "distance": merge.distance.tolist(), "converged": merge.converged}
                write_alignment(folder, zoo, arguments, facts, alignment)
    return AlignedZoo(zoo, folder, arguments, read_alignment(folder, zoo, arguments))


def _overwrite(kans: Population, others: Population) -> None:
    for layer, other in zip(kans.layers, others.layers, strict=True):
        for name in FIELDS:
            if name != "knots" or not layer.shared_knots:
                getattr(layer, name).copy_(getattr(other, name))


class _Report(Protocol):
    def __call__(self, what: str, done: int = 0) -> None: ...


def _merge(zoo: Zoo, subset: int, tolerance: float, seed: int, report: _Report) -> Merge:
    train = zoo.split("train")
    if min(len(train), subset) < 2:
        raise DataError(
            f"{zoo.folder}: {len(train)} training KANs and a subset of {subset} give no reference; it takes two"
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
    parts, size = [], max(1, min(BATCH, NUMBERS // zoo.spec.num_parameters))
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
