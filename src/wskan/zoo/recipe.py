"""Recipes, which determine a zoo completely."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.files import digest
from wskan.kan import FitConfig, KANSpec, Score, derive_seed
from wskan.kan.adapt_grid import check_adapts
from wskan.kan.oracle import THRESHOLD
from wskan.reading import boolean, build, number, shown, text, whole
from wskan.signals import IMAGE_SETS

MAX_KANS = 10_000_000  # of a split

Storage = Literal["float32", "float16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """The part of a recipe that is specific to classifiers of images (paper, C.2.1 and C.3.1).

    Args:
        noise: largest share of permuted labels. The share of each KAN is drawn uniformly from 0 to this.
        scored: number of training images to compute the oracle's scores on.
        score: kind of score of an edge; see :func:`wskan.kan.edge_scores`.
        threshold: the oracle keeps edges with a higher score.
        storage: precision of weights and coefficients on disk. Accuracy and masks are measured in this precision. Knots
            stay in single precision.
        scores: store the oracle's scores next to its masks, two bytes per edge. The task ``"pruning-scores"`` needs
            them.

    Raises:
        DataError: a value is out of range.
    """

    noise: float = 1.0
    scored: int = 2_000
    score: Score = "attribution"
    threshold: float = THRESHOLD
    storage: Storage = "float32"
    scores: bool = False

    def __post_init__(self) -> None:
        whole(self.scored, "recipe: scored", 2, 10_000_000)
        number(self.noise, "recipe: noise", 0, 1)
        number(self.threshold, "recipe: threshold", 0, 1e6)
        if self.score not in get_args(Score) or self.storage not in get_args(Storage):
            raise DataError(f"recipe: unknown score {shown(self.score)} or storage {shown(self.storage)}")
        boolean(self.scores, "recipe: scores")

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON types.

        ``scores`` is left out if it is false, so that the digests of older recipes do not change.
        """
        data = dataclasses.asdict(self)
        return data if self.scores else {name: value for name, value in data.items() if name != "scores"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The recipe of a zoo of implicit neural representations (paper, C.1.1) or of classifiers (paper, C.2.1).

    The same recipe gives the same zoo. Training and validation KANs represent images of the data set's training split,
    test KANs images of its test split. The images are chosen by a fixed permutation, so a larger zoo contains the
    images of a smaller one.

    Classifiers all learn from all images of the training split. Zoos of one seed contain the same classifiers, index by
    index, whatever their counts. A training KAN of one zoo may therefore be a test KAN of another. Choose another seed
    for new classifiers.

    Args:
        name: name of the recipe.
        dataset: one of ``wskan.signals.IMAGE_SETS``, or ``"sine"``.
        spec: architecture of each KAN.
        fit: how each KAN is trained.
        train, val, test: number of KANs of each split.
        seed: seed that all random numbers derive from.
        shard_size: KANs per file.
        classifier: configuration of classifiers; None for implicit neural representations.

    Raises:
        DataError: a value is out of range.
    """

    name: str
    dataset: str
    spec: KANSpec
    fit: FitConfig
    train: int
    val: int
    test: int
    seed: int = 0
    shard_size: int = 256
    classifier: ClassifierConfig | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("train", 0, MAX_KANS),
            ("val", 0, MAX_KANS),
            ("test", 0, MAX_KANS),
            ("seed", 0, 2**62),
            ("shard_size", 1, 65_536),
        ):
            whole(getattr(self, name), f"recipe: {name}", low, high)
        text(self.name, "recipe: name")
        if self.dataset not in (*IMAGE_SETS, "sine"):
            raise DataError(f"recipe: unknown data set {shown(self.dataset)}; choose from {(*IMAGE_SETS, 'sine')}")
        if (self.fit.loss == "cross_entropy") != (self.classifier is not None):
            raise DataError("recipe: fit with cross-entropy if classifier is given, and only then")
        if self.fit.adapt_grid:
            check_adapts(self.spec.basis_functions)
        if len(self) == 0:
            raise DataError("recipe: a zoo needs at least one KAN")

    def __len__(self) -> int:
        return self.train + self.val + self.test

    @property
    def num_shards(self) -> int:
        """Number of shards, one file each."""
        return -(-len(self) // self.shard_size)

    def shard_rows(self, shard: int) -> range:
        """Return the indices of the KANs in a shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    def splits(self) -> Tensor:
        """Return the split of each KAN, ``[n]`` int64, index into ``SPLITS``: training, validation, test."""
        return torch.arange(3).repeat_interleave(torch.tensor((self.train, self.val, self.test)))

    def kan_seeds(self, rows: range, stream: int = 0) -> Tensor:
        """Derive a seed for each KAN from the seed of the recipe and the index of the KAN.

        Args:
            rows: indices of the KANs.
            stream: 0 for the seeds of the fits. Other streams are unrelated.

        Returns:
            ``[len(rows)]`` int64.
        """
        zoo_seed = derive_seed(torch.tensor([self.seed]), 2 * stream)
        return derive_seed((zoo_seed + torch.arange(rows.start, rows.stop)) & (2**63 - 1), 2 * stream + 1)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify this recipe."""
        return digest(self.to_dict(), 12)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON types, the inverse of :meth:`from_dict`."""
        data = {**vars(self), "spec": self.spec.to_dict(), "fit": self.fit.to_dict()}
        classifier = data.pop("classifier")  # left out if None, so that digests of older recipes do not change
        return data if classifier is None else {**data, "classifier": classifier.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read a recipe from JSON types.

        Raises:
            DataError: unknown or missing keys, wrong types, or values out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"classifier"}
        if not isinstance(data, Mapping) or set(data) - {"classifier"} != names:
            raise DataError(f"a recipe must be an object with exactly {sorted(names)}, got {shown(data)}")
        parts = {"spec": KANSpec.from_dict(data["spec"]), "fit": FitConfig.from_dict(data["fit"])}
        if "classifier" not in data:
            return cls(**{**data, **parts})
        return cls(**{**data, **parts, "classifier": build(ClassifierConfig, data["classifier"], "recipe: classifier")})
