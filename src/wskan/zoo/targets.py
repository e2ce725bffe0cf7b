"""Targets of the KANs of a recipe: signals to represent, or labels of images."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

from wskan.errors import DataError
from wskan.kan import FitResult, Population
from wskan.zoo.classifiers import Labels, read_labels
from wskan.zoo.inr import Signals, read_signals
from wskan.zoo.recipe import Recipe


class Targets(Protocol):
    """The targets of all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: inputs, ``[P, in]``, the same for all KANs.
        split: split of each KAN, ``[n]`` int64, index into ``SPLITS``.
        note: what is unusual about the data; empty if nothing is.
        files: checksums of the data files for the manifest; see :func:`wskan.zoo.storage.files_of`.
    """

    @property
    def inputs(self) -> Tensor: ...

    @property
    def split(self) -> Tensor: ...

    @property
    def note(self) -> str: ...

    @property
    def files(self) -> dict[str, str]: ...

    def values(self, rows: range | Tensor) -> Tensor:
        """Return the targets of some KANs, ``[len(rows), P, ...]``."""

    def stored(self, population: Population) -> Population:
        """Convert fitted KANs to the precision that goes to disk."""

    def columns(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Measure fitted KANs. Return columns of the zoo by name, ``[len(rows)]`` each."""

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """Compute the tensors of the pruning oracle by name. Return none for KANs that are not classifiers."""


def load_targets(recipe: Recipe, root: Path | str | None = None, *, fetch: bool = False) -> Targets:
    """Load the data that a recipe needs.

    Raises:
        DataError: the data is missing, damaged, of another shape, or too little for the recipe.
    """
    if recipe.classifier is None:
        return read_signals(recipe, root, fetch)
    return read_labels(recipe, recipe.classifier, root, fetch)


def load_labels(recipe: Recipe, root: Path | str | None = None) -> Labels:
    """Load the images and labels that a recipe of classifiers needs.

    Raises:
        DataError: the KANs are not classifiers, or see :func:`load_targets`.
    """
    if recipe.classifier is None:
        raise DataError(f"the KANs of {recipe.name} are not classifiers; choose a recipe of classifiers")
    labels = load_targets(recipe, root)
    assert isinstance(labels, Labels)
    return labels


def load_signals(recipe: Recipe, root: Path | str | None = None) -> Signals:
    """Load the signals that a recipe of implicit neural representations needs.

    Raises:
        DataError: the KANs are classifiers, or see :func:`load_targets`.
    """
    if recipe.classifier is not None:
        raise DataError(f"the KANs of {recipe.name} are classifiers and represent no signals")
    signals = load_targets(recipe, root)
    assert isinstance(signals, Signals)
    return signals
