"""Write and read an alignment: ``manifest.json`` and ``alignment.safetensors``."""

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
    """The stored part of an alignment of n KANs.

    Attributes:
        reference: the KAN that all others were aligned to, a population of one.
        permutation: the n permutations. The file stores them in the smallest integer type that can hold them.
        distance_before, distance_after: squared distance to the reference, ``[n]`` float64.
    """

    reference: Population
    permutation: Permutation
    distance_before: Tensor
    distance_after: Tensor


def holds_alignment(folder: Path) -> bool:
    """Return whether a folder holds a finished alignment. If not, one can be written to it.

    Raises:
        DataError: The folder holds something else.
    """
    if (folder / MANIFEST).exists():
        return True
    if not is_empty_folder(folder):
        others = {path.name for path in folder.iterdir() if not is_litter_by_name(path.name)}
        if others != {TENSORS}:  # a process killed before it writes the manifest leaves only that
            raise DataError(f"{folder} is not empty and holds no aligned zoo; choose another folder")
    return False


def write_alignment(
    folder: Path, zoo: Zoo, arguments: dict[str, Any], summary: dict[str, Any], alignment: Alignment
) -> None:
    """Write both files. The manifest is last, so a folder with a manifest is complete.

    Args:
        folder: the folder of the alignment.
        zoo: the zoo.
        arguments: the arguments of :func:`wskan.align.align_zoo`.
        summary: more entries of the manifest.
        alignment: the alignment.

    Raises:
        DataError: The disk is full or cannot be written to.
    """
    tensors = {f"{REFERENCE}{name}": tensor for name, tensor in alignment.reference.tensors().items()}
    orders = enumerate(alignment.permutation.orders)
    tensors |= {f"permutations.{index}": order.to(_integers(order.shape[1])).cpu() for index, order in orders}
    tensors |= {"distance_before": alignment.distance_before, "distance_after": alignment.distance_after}
    data = save({name: tensor.contiguous() for name, tensor in sorted(tensors.items())})
    write_atomically(folder / TENSORS, lambda path: path.write_bytes(data))
    manifest = {
        "format": FORMAT,
        "format_version": VERSION,
        **_identity(zoo, arguments),
        **summary,
        "sha256": hashlib.sha256(data).hexdigest(),
        **provenance(),
    }
    text = json.dumps(manifest, indent=1)
    write_atomically(folder / MANIFEST, lambda path: path.write_text(text))


def read_alignment(folder: Path, zoo: Zoo, arguments: dict[str, Any]) -> Alignment:
    """Read and check an alignment of ``zoo`` with these arguments.

    Raises:
        DataError: The alignment is damaged or malformed, of another zoo, made with other arguments, or of an
            unsupported format version.
    """
    manifest = _read_manifest(folder / MANIFEST)
    for name, expected in _identity(zoo, arguments).items():
        if manifest.get(name) != expected:
            raise DataError(
                f"{folder} holds an alignment with {name} {shown(manifest.get(name))}, not {expected!r}; "
                "choose another folder"
            )
    path = folder / TENSORS
    data = read_bytes(path, _most_bytes(zoo.spec, len(zoo)), AGAIN)
    try:
        if (digest := hashlib.sha256(data).hexdigest()) != (expected := manifest.get("sha256")):
            raise DataError(f"{path}: its SHA-256 is {digest}, but the manifest has {shown(expected)}; {AGAIN}")
        return _parse(path, zoo, load(data))
    except SafetensorError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); {AGAIN}") from error


def _integers(width: int) -> torch.dtype:
    return torch.uint8 if width <= 2**8 else torch.int16 if width <= 2**15 else torch.int32


def _identity(zoo: Zoo, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what identifies an alignment: recipe and bytes of the zoo, and the arguments."""
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
            f"{path}: format version {shown(data.get('format_version'))}, this wskan reads {VERSION}; update wskan"
        )
    return data


def _parse(path: Path, zoo: Zoo, tensors: dict[str, Tensor]) -> Alignment:
    reference = {name.removeprefix(REFERENCE): tensor for name, tensor in tensors.items() if name.startswith(REFERENCE)}
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(REFERENCE)}
    _check_layout(path, zoo, others)
    return Alignment(
        permutation=_parse_permutation(path, others, zoo.spec.num_layers - 1),
        distance_before=_check_distances(path, others, "distance_before"),
        distance_after=_check_distances(path, others, "distance_after"),
        reference=_parse_reference(path, zoo.spec, reference),
    )


def _check_layout(path: Path, zoo: Zoo, tensors: dict[str, Tensor]) -> None:
    """Raise unless names, types and shapes fit the zoo."""
    size = len(zoo)
    expected: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
        "distance_before": (torch.float64, (size,)),
        "distance_after": (torch.float64, (size,)),
    }
    for index, n in enumerate(zoo.spec.widths[1:-1]):
        expected[f"permutations.{index}"] = (_integers(n), (size, n))
    if {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()} != expected:
        layout = {name: (str(tensor.dtype), list(tensor.shape)) for name, tensor in tensors.items()}
        raise DataError(f"{path}: tensors {layout!r:.300} do not fit {size:,} KANs {list(zoo.spec.widths)}; {AGAIN}")


def _parse_permutation(path: Path, tensors: dict[str, Tensor], hidden_layers: int) -> Permutation:
    try:
        return Permutation([tensors[f"permutations.{index}"] for index in range(hidden_layers)])
    except ShapeError as error:
        raise DataError(f"{path}: permutations hold rows that are not permutations; {AGAIN}") from error


def _check_distances(path: Path, tensors: dict[str, Tensor], name: str) -> Tensor:
    distances = tensors[name]
    if not all(math.isfinite(end) and end >= 0 for end in map(float, (distances.min(), distances.max()))):
        raise DataError(f"{path}: {name} is negative or not finite; {AGAIN}")
    return distances


def _parse_reference(path: Path, spec: KANSpec, tensors: dict[str, Tensor]) -> Population:
    try:
        kan = Population.from_tensors(spec, tensors)
    except (DataError, ShapeError) as error:
        raise DataError(f"{path}: {error}; {AGAIN}") from error
    if len(kan) != 1 or any(tensor.dtype != torch.float32 for tensor in tensors.values()) or not kan.is_finite():
        raise DataError(f"{path}: the reference is not one finite KAN in single precision; {AGAIN}")
    return kan
