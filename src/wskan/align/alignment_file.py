"""An alignment on disk: ``manifest.json`` and ``alignment.safetensors``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from wskan.errors import DataError, ShapeError, reason
from wskan.files import is_empty_folder, is_litter_by_name, write_atomically
from wskan.kan import KANSpec, Permutation, Population
from wskan.provenance import provenance
from wskan.reading import read_bytes, read_json, shown
from wskan.zoo import Zoo

FORMAT, VERSION = "wskan-alignment", 1
MANIFEST, TENSORS = "manifest.json", "alignment.safetensors"
MAX_MANIFEST, MAX_HEADER = 2**20, 2**20  # bytes
REFERENCE = "reference."  # prefix of the reference KAN's tensors
AGAIN = "delete the folder and align again"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """What is kept of the alignment of n KANs.

    Attributes:
        reference: the KAN that all were aligned to, a population of one.
        permutation: of size n; in the file, its orders have the smallest integer type that holds them.
        distance_before, distance_after: ``[n]`` float64, squared distance to the reference.
    """

    reference: Population
    permutation: Permutation
    distance_before: Tensor
    distance_after: Tensor


def holds_alignment(folder: Path) -> bool:
    """Whether there is a finished one; a folder may be used for one if not.

    Raises:
        DataError: the folder holds something else.
    """
    if (folder / MANIFEST).exists():
        return True
    if not is_empty_folder(folder):
        others = {path.name for path in folder.iterdir() if not is_litter_by_name(path.name)}
        if others != {TENSORS}:  # that alone is left by a process that was killed before it wrote the manifest
            raise DataError(f"{folder} is not empty and holds no aligned zoo; choose another folder")
    return False


def write_alignment(folder: Path, zoo: Zoo, arguments: dict[str, Any], facts: dict[str, Any], kept: Alignment) -> None:
    """Write both files, the manifest last: where there is one, everything is.

    Raises:
        DataError: the disk is full or may not be written to.
    """
    tensors = {f"{REFERENCE}{name}": tensor for name, tensor in kept.reference.tensors().items()}
    orders = enumerate(kept.permutation.orders)
    tensors |= {f"permutations.{index}": order.to(_integers(order.shape[1])).cpu() for index, order in orders}
    tensors |= {"distance_before": kept.distance_before, "distance_after": kept.distance_after}
    data = save({name: tensor.contiguous() for name, tensor in sorted(tensors.items())})
    write_atomically(folder / TENSORS, lambda path: path.write_bytes(data))
    manifest = {
        "format": FORMAT,
        "format_version": VERSION,
        **_identity(zoo, arguments),
        **facts,
        "sha256": hashlib.sha256(data).hexdigest(),
        **provenance(),
    }
    text = json.dumps(manifest, indent=1)
    write_atomically(folder / MANIFEST, lambda path: path.write_text(text))


def read_alignment(folder: Path, zoo: Zoo, arguments: dict[str, Any]) -> Alignment:
    """Read and check an alignment of ``zoo`` with these arguments.

    Raises:
        DataError: it is damaged or malformed, of another zoo, made with other arguments, or of a format that this version does not know.
    """
    manifest = _read_manifest(folder / MANIFEST)
    for name, asked in _identity(zoo, arguments).items():
        if manifest.get(name) != asked:
            raise DataError(f"{folder} holds an alignment with {name} {shown(manifest.get(name))}, not {asked!r}; choose another folder")  # fmt: skip
    path = folder / TENSORS
    data = read_bytes(path, _most_bytes(zoo.spec, len(zoo)), AGAIN)
    try:
        if (found := hashlib.sha256(data).hexdigest()) != manifest.get("sha256"):
            raise DataError(
                f"{path}: its SHA-256 is {found}, the manifest says {shown(manifest.get('sha256'))}; {AGAIN}"
            )
        return _parse(path, zoo, load(data))
    except SafetensorError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); {AGAIN}") from error


def _integers(width: int) -> torch.dtype:
    return torch.uint8 if width <= 2**8 else torch.int16 if width <= 2**15 else torch.int32


def _identity(zoo: Zoo, arguments: dict[str, Any]) -> dict[str, Any]:
    """What makes an alignment this one: the zoo by recipe and bytes, and the arguments."""
    return {"zoo": zoo.digest, "zoo_shards_sha256": zoo.checksum, "arguments": arguments}


def _most_bytes(spec: KANSpec, size: int) -> int:
    reference = 4 * (spec.num_parameters + spec.num_edges + spec.num_knots * sum(spec.widths[:-1]))
    return MAX_HEADER + reference + size * (16 + 4 * sum(spec.widths[1:-1]))


def _read_manifest(path: Path) -> dict[str, Any]:
    data = read_json(path, MAX_MANIFEST, AGAIN)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataError(f"{path}: not the manifest of an aligned zoo; choose another folder")
    if data.get("format_version") != VERSION:
        raise DataError(
            f"{path}: format version {shown(data.get('format_version'))}, this wskan reads {VERSION}; update it"
        )
    return data


def _parse(path: Path, zoo: Zoo, tensors: dict[str, Tensor]) -> Alignment:
    hidden = zoo.spec.widths[1:-1]
    expected: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
        f"permutations.{index}": (_integers(n), (len(zoo), n)) for index, n in enumerate(hidden)
    }
    expected |= {name: (torch.float64, (len(zoo),)) for name in ("distance_before", "distance_after")}
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(REFERENCE)}
    if {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in own.items()} != expected:
        found = {name: (str(tensor.dtype), list(tensor.shape)) for name, tensor in own.items()}
        raise DataError(f"{path}: tensors {found!r:.300} do not fit {len(zoo):,} KANs {list(zoo.spec.widths)}; {AGAIN}")
    try:
        permutation = Permutation([own[f"permutations.{index}"] for index in range(len(hidden))])
    except ShapeError as error:
        raise DataError(f"{path}: permutations hold rows that are no permutations; {AGAIN}") from error
    for name in ("distance_before", "distance_after"):
        if not all(math.isfinite(value) and value >= 0 for value in (float(own[name].min()), float(own[name].max()))):
            raise DataError(f"{path}: {name} is not finite or negative; {AGAIN}")
    reference = {name.removeprefix(REFERENCE): tensor for name, tensor in tensors.items() if name.startswith(REFERENCE)}
    try:
        kan = Population.from_tensors(zoo.spec, reference)
    except (DataError, ShapeError) as error:
        raise DataError(f"{path}: {error}; {AGAIN}") from error
    if len(kan) != 1 or any(tensor.dtype != torch.float32 for tensor in reference.values()) or not kan.is_finite():
        raise DataError(f"{path}: the reference is not one finite KAN in single precision; {AGAIN}")
    return Alignment(
        reference=kan,
        permutation=permutation,
        distance_before=own["distance_before"],
        distance_after=own["distance_after"],
    )
