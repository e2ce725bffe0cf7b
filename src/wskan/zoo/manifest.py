"""The manifest of a zoo: its recipe, its format version, and the checksum, size and count of each shard."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from wskan.errors import DataError
from wskan.files import write_atomically
from wskan.kan import KANSpec
from wskan.reading import mapping, number, read_json, shown, text, whole
from wskan.zoo.recipe import Recipe

FORMAT, VERSION = "wskan-zoo", 1
MAX_MANIFEST = 16 * 2**20  # bytes
MAX_TEXT = 1000  # characters of a value in built_with


@dataclasses.dataclass(frozen=True)
class Shard:
    """The entry of a shard in the manifest.

    Attributes:
        sha256: checksum of the file, in hexadecimal digits.
        size: size of the file in bytes.
        count: number of KANs.
        seconds: time that it took to build.
    """

    sha256: str
    size: int
    count: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The recipe of a zoo, its finished shards, and the software and data it was built with.

    Attributes:
        recipe: recipe of the zoo.
        shards: entries of the finished shards, in order.
        built_with: version of torch, machine, and checksums of the data files.
    """

    recipe: Recipe
    shards: tuple[Shard, ...] = ()
    built_with: dict[str, str] = dataclasses.field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, all or nothing."""
        data = {
            "format": FORMAT,
            "format_version": VERSION,
            "recipe": self.recipe.to_dict(),
            "built_with": self.built_with,
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }
        content = json.dumps(data, indent=1)
        write_atomically(folder / "manifest.json", lambda path: path.write_text(content))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check ``manifest.json``.

        Raises:
            DataError: it is missing, malformed or of an unknown format version.
        """
        path = folder / "manifest.json"
        if not path.exists():
            raise DataError(f"{folder} is not a zoo: it has no manifest.json; build one with `wskan zoo build`")
        data = read_json(path, MAX_MANIFEST, "the zoo must be built again")
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f"{path}: is not the manifest of a zoo; name the folder of a zoo")
        if data.get("format_version") != VERSION:
            raise DataError(
                f"{path}: format version {shown(data.get('format_version'))}, this wskan reads {VERSION}; update wskan"
            )
        try:
            recipe = Recipe.from_dict(data.get("recipe", {}))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        shards = data.get("shards")
        if not isinstance(shards, list) or len(shards) > recipe.num_shards:
            raise DataError(f"{path}: shards must be a list of at most {recipe.num_shards}")
        built = mapping(data.get("built_with", {}), f"{path}: built_with")
        return cls(
            recipe,
            tuple(_shard(path, recipe, index, shard) for index, shard in enumerate(shards)),
            {
                text(key, f"{path}: a name in built_with"): text(value, f"{path}: built_with.{key}", MAX_TEXT)
                for key, value in built.items()
            },
        )


def _shard(path: Path, recipe: Recipe, index: int, data: Any) -> Shard:
    where = f"{path}: shards[{index}]"
    mapping(data, where, {field.name for field in dataclasses.fields(Shard)})
    if not re.fullmatch("[0-9a-f]{64}", text(data["sha256"], f"{where}.sha256")):
        raise DataError(f"{where}.sha256 must be 64 hexadecimal digits, got {shown(data['sha256'])}")
    whole(data["size"], f"{where}.size", 0, _most_bytes(recipe.spec, len(recipe.shard_rows(index))))
    whole(data["count"], f"{where}.count", *[len(recipe.shard_rows(index))] * 2)
    number(data["seconds"], f"{where}.seconds", 0, 1e9)
    return Shard(**data)


def _most_bytes(spec: KANSpec, count: int) -> int:
    """Return the bytes that a shard may have: header, parameters, masks, scores, and a kilobyte of columns per KAN."""
    numbers = spec.num_parameters + 2 * spec.num_edges + spec.num_knots * sum(spec.widths[:-1])
    return 2**20 + count * (4 * numbers + 1024)


def shard_path(folder: Path, index: int) -> Path:
    """Return the path of a shard. Names are computed, never read from a file."""
    return folder / "shards" / f"{index:05d}.safetensors"


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
