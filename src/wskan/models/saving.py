"""Reading the weights of a saved model: names, shapes and numbers are checked."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wskan.errors import DataError, reason
from wskan.reading import shown


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the names and shapes of others, in single precision; statistics that can be divided by."""
    try:
        size, most = path.stat().st_size, sum(8 * tensor.numel() + 1024 for tensor in expected.values()) + 2**20
        if not path.is_file() or size > most:
            raise DataError(
                f"{path}: not a regular file of at most {most:,} bytes, as config.json asks for; copy the folder of the model again"
            )
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read ({reason(error)})") from error
    shapes, found = ({name: tuple(tensor.shape) for name, tensor in some.items()} for some in (expected, tensors))
    if found != shapes:
        wrong = sorted(name for name in set(found) | set(shapes) if found.get(name) != shapes.get(name))
        raise DataError(
            f"{path}: tensors {shown(wrong[:5])} are missing, unknown or of another shape than config.json asks for"
        )
    types = {name: torch.float32 if own.is_floating_point() else own.dtype for name, own in expected.items()}
    if wrong := [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype != types[name]]:
        raise DataError(f"{path}: {shown(wrong[:5])} are not of single precision; save the model as torch.float32")
    if wrong := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise DataError(f"{path}: {wrong[:5]} are not finite")
    if wrong := bad_statistics(tensors):
        raise DataError(f"{path}: {wrong} are not positive, and features are divided by them")
    return tensors


def bad_statistics(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of the statistics among a model's weights, whatever comes before them, that cannot be divided by."""
    deviations = {
        name: t for name, t in weights.items() if name.endswith(("standardize.edge_std", "standardize.node_std"))
    }
    bad = [name for name, t in deviations.items() if not bool(((t > 0) & t.isfinite()).all())]
    return bad + [name for name, t in weights.items() if name.endswith(".running_var") and bool((t < 0).any())]
