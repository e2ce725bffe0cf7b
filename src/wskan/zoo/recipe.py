"""What a zoo consists of, completely: the same recipe gives the same zoo."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from wskan.errors import DataError
from wskan.kan import FitConfig, KANSpec
from wskan.signals import IMAGE_SETS

MAX_KANS = 10_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A population of implicit neural representations (paper, C.1.1).

    Training and validation KANs represent images of the data set's training split, test KANs images of its test split, picked by a fixed
    permutation: a zoo with larger counts represents the images of a smaller one and more.

    Args:
        name: of the recipe.
        dataset: one of ``wskan.signals.IMAGE_SETS``, or ``"sine"``.
        spec: architecture of each KAN.
        fit: how each is trained.
        train, val, test: number of KANs of each split.
        seed: every random number derives from it.
        shard_size: KANs a file.

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

    def __post_init__(self) -> None:
        for name, low, high in (
            ("train", 0, MAX_KANS),
            ("val", 0, MAX_KANS),
            ("test", 0, MAX_KANS),
            ("seed", 0, 2**62),
            ("shard_size", 1, 65_536),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise DataError(f"recipe: {name} must be a whole number from {low} to {high:,}, got {value!r}")
        if not isinstance(self.name, str) or self.dataset not in (*IMAGE_SETS, "sine"):
            raise DataError(f"recipe: unknown data set {self.dataset!r}; choose from {(*IMAGE_SETS, 'sine')}")
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

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this recipe."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`."""
        return {**vars(self), "spec": self.spec.to_dict(), "fit": self.fit.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read a recipe from JSON types.

        Raises:
            DataError: unknown or missing keys, wrong types, or values out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(data, Mapping) or set(data) != names:
            raise DataError(f"a recipe is an object with exactly {sorted(names)}, got {data!r:.200}")
        return cls(**{**data, "spec": KANSpec.from_dict(data["spec"]), "fit": FitConfig.from_dict(data["fit"])})
