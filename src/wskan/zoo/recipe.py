"""What a zoo consists of, completely: the same recipe gives the same zoo."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError, reason
from wskan.kan import FitConfig, KANSpec, Score, derive_seed
from wskan.kan.adapt_grid import check_adapts
from wskan.kan.oracle import THRESHOLD
from wskan.reading import boolean, mapping, number, shown, text, whole
from wskan.signals import IMAGE_SETS

MAX_KANS = 10_000_000


Storage = Literal["float32", "float16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """What makes a zoo one of classifiers of images (paper, C.2.1 and C.3.1).

    Args:
        noise: each KAN has the labels of a share of its training images permuted, the share drawn uniformly from 0 to this.
        scored: training images that the oracle's scores are measured on.
        score: of an edge; see :func:`wskan.kan.edge_scores`.
        threshold: the oracle keeps edges that score more.
        storage: of weights and coefficients on disk, and what accuracy and masks are measured with; knots stay in single precision.
        scores: whether the zoo keeps the oracle's scores beside its masks, two bytes an edge: for the task
            ``"pruning-scores"``.

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
        """Give plain JSON types; ``scores`` only where they are kept: the digests of older recipes stay."""
        data = dataclasses.asdict(self)
        return data if self.scores else {name: value for name, value in data.items() if name != "scores"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A population of implicit neural representations (paper, C.1.1), or of classifiers (C.2.1).

    Training and validation KANs represent images of the data set's training split, test KANs images of its test split, picked by a fixed
    permutation: a zoo with larger counts represents the images of a smaller one and more. Classifiers all learn from all images of the training split,
    and those of one seed are the same, index by index, in zoos of whatever counts: what is training KANs here may be test KANs there. For fresh ones take another seed.

    Args:
        name: of the recipe.
        dataset: one of ``wskan.signals.IMAGE_SETS``, or ``"sine"``.
        spec: architecture of each KAN.
        fit: how each is trained.
        train, val, test: number of KANs of each split.
        seed: every random number derives from it.
        shard_size: KANs a file.
        classifier: for classifiers; None for implicit neural representations.

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
            raise DataError("recipe: classifiers, and only they, are fitted with cross-entropy")
        if self.fit.adapt_grid:
            check_adapts(self.spec.basis_functions)
        if len(self) == 0:
            raise DataError("recipe: a zoo needs at least one KAN")

    def __len__(self) -> int:
        return self.train + self.val + self.test

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return -(-len(self) // self.shard_size)

    def shard_rows(self, shard: int) -> range:
        """Indices of the KANs in a shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    def splits(self) -> Tensor:
        """Split of each KAN, index into ``SPLITS``, ``[n]`` int64: training, validation, test."""
        return torch.arange(3).repeat_interleave(torch.tensor((self.train, self.val, self.test)))

    def kan_seeds(self, rows: range, stream: int = 0) -> Tensor:
        """A seed for each KAN, a hash of (seed of the recipe, index), ``[len(rows)]`` int64: in stream 0 those they are fitted from; another stream is unrelated."""
        zoo_seed = derive_seed(torch.tensor([self.seed]), 2 * stream)
        return derive_seed((zoo_seed + torch.arange(rows.start, rows.stop)) & (2**63 - 1), 2 * stream + 1)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this recipe."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`."""
        data = {**vars(self), "spec": self.spec.to_dict(), "fit": self.fit.to_dict()}
        classifier = data.pop("classifier")  # absent where there is none: the digests of older recipes stay
        return data if classifier is None else {**data, "classifier": classifier.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read a recipe from JSON types.

        Raises:
            DataError: unknown or missing keys, wrong types, or values out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"classifier"}
        if not isinstance(data, Mapping) or set(data) - {"classifier"} != names:
            raise DataError(f"a recipe is an object with exactly {sorted(names)}, got {shown(data)}")
        parts = {"spec": KANSpec.from_dict(data["spec"]), "fit": FitConfig.from_dict(data["fit"])}
        if "classifier" not in data:
            return cls(**{**data, **parts})
        try:
            classifier = ClassifierConfig(**mapping(data["classifier"], "recipe: classifier"))
        except TypeError as error:
            raise DataError(f"malformed recipe {shown(data['classifier'])}: {reason(error)}") from error
        return cls(**{**data, **parts, "classifier": classifier})
