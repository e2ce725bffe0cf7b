"""The manifest of a zoo: recipe, format version, and checksum, size and count of each shard."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from wskan.errors import DataError
from wskan.files import write_atomically
from wskan.zoo.recipe import Recipe

FORMAT, VERSION = "wskan-zoo", 1
MAX_MANIFEST = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Shard:
    """What the manifest says of a shard."""

    sha256: str
    size: int  # bytes
    count: int  # KANs
    seconds: float  # it took to build


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A recipe, the shards finished so far, and what they were built with."""

    recipe: Recipe
    shards: tuple[Shard, ...] = ()
    built_with: dict[str, str] = dataclasses.field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, at once or not at all."""
        data = {
            "format": FORMAT,
            "format_version": VERSION,
            "recipe": self.recipe.to_dict(),
            "built_with": self.built_with,
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }
        text = json.dumps(data, indent=1)
        write_atomically(folder / "manifest.json", lambda path: path.write_text(text))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check ``manifest.json``.

        Raises:
            DataError: it is missing, malformed or of a format that this version does not know.
        """
        path = folder / "manifest.json"
        try:
            data = json.loads(path.read_text()) if path.stat().st_size <= MAX_MANIFEST else None
        except OSError as error:
            raise DataError(f"{folder} is not a zoo: {error}; build one with `wskan zoo build`") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not JSON ({error}); the zoo must be built again") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f"{path}: not the manifest of a zoo")
        if data.get("format_version") != VERSION:
            raise DataError(
                f"{path}: format version {data.get('format_version')!r}, this wskan reads {VERSION}; update it"
            )
        recipe = Recipe.from_dict(data.get("recipe", {}))
        shards = data.get("shards")
        if not isinstance(shards, list) or len(shards) > recipe.num_shards:
            raise DataError(f"{path}: shards must be a list of at most {recipe.num_shards}")
        built = data.get("built_with")
        return cls(
            recipe,
            tuple(_shard(path, recipe, index, shard) for index, shard in enumerate(shards)),
            {str(key): str(value) for key, value in built.items()} if isinstance(built, dict) else {},
        )


def _shard(path: Path, recipe: Recipe, index: int, data: Any) -> Shard:
    fields = {"sha256": str, "size": int, "count": int, "seconds": (int, float)}
    if (
        not isinstance(data, dict)
        or set(data) != set(fields)
        or not all(isinstance(data[name], kind) for name, kind in fields.items())  # type: ignore[arg-type]
        or not re.fullmatch("[0-9a-f]{64}", data["sha256"])
        or data["count"] != len(recipe.shard_rows(index))
    ):
        raise DataError(f"{path}: malformed entry of shard {index}: {data!r:.200}")
    return Shard(**data)


def shard_path(folder: Path, index: int) -> Path:
    """Names are computed, never read from a file."""
    return folder / "shards" / f"{index:05d}.safetensors"


def sha256(path: Path) -> str:
    """Checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
