"""Read the weights of a saved model and check them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wskan.errors import DataError, reason
from wskan.reading import shown


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read weights from a safetensors file and check them.

    Args:
        path: the file.
        expected: tensors with the expected names and shapes.

    Raises:
        DataError: The file cannot be read or is too large; names, shapes or types differ; weights are not finite; or
            standard deviations are not positive.
    """
    try:
        size, most = path.stat().st_size, sum(8 * tensor.numel() + 1024 for tensor in expected.values()) + 2**20
        if not path.is_file() or size > most:
            raise DataError(
                f"{path}: not a regular file of at most {most:,} bytes, which config.json implies; "
                "copy the folder of the model again"
            )
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read ({reason(error)})") from error
    right, shapes = ({name: tuple(tensor.shape) for name, tensor in some.items()} for some in (expected, tensors))
    if shapes != right:
        wrong = sorted(name for name in set(shapes) | set(right) if shapes.get(name) != right.get(name))
        raise DataError(
            f"{path}: tensors {shown(wrong[:5])} are missing, unknown or not of the shapes that config.json implies"
        )
    types = {name: torch.float32 if t.is_floating_point() else t.dtype for name, t in expected.items()}
    if wrong := [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype != types[name]]:
        raise DataError(f"{path}: {shown(wrong[:5])} are not in single precision; save the model as torch.float32")
    if wrong := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise DataError(f"{path}: {wrong[:5]} are not finite")
    if wrong := bad_statistics(tensors):
        raise DataError(f"{path}: {wrong} are not positive, but features are divided by them")
    return tensors


def bad_statistics(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of standard deviations and variances among weights that features cannot be divided by."""
    deviations = {
        name: t for name, t in weights.items() if name.endswith(("standardize.edge_std", "standardize.node_std"))
    }
    bad = [name for name, t in deviations.items() if not bool(((t > 0) & t.isfinite()).all())]
    return bad + [name for name, t in weights.items() if name.endswith(".running_var") and bool((t < 0).any())]
