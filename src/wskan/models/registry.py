"""All models by name: a closed table, so that no file can name code to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wskan.errors import DataError, reason
from wskan.models.base import MetaNetwork, ModelConfig
from wskan.models.deep_sets import DeepSets, DeepSetsConfig
from wskan.models.dmc import DMC, DMCConfig
from wskan.models.image_cnn import ImageCNN, ImageCNNConfig
from wskan.models.mlp import FlatMLP, FlatMLPConfig
from wskan.models.probe_gen import ProbeGen, ProbeGenConfig
from wskan.models.set_transformer import SetTransformer, SetTransformerConfig
from wskan.models.ws_kan import WSKAN
from wskan.models.ws_kan_config import WSKANConfig
from wskan.reading import mapping, read_json, shown

MODELS: dict[str, tuple[type[MetaNetwork], type[ModelConfig]]] = {
    "ws_kan": (WSKAN, WSKANConfig),
    "mlp": (FlatMLP, FlatMLPConfig),
    "dmc": (DMC, DMCConfig),
    "deep_sets": (DeepSets, DeepSetsConfig),
    "set_transformer": (SetTransformer, SetTransformerConfig),
    "probe_gen": (ProbeGen, ProbeGenConfig),
    "image_cnn": (ImageCNN, ImageCNNConfig),
}
MAX_CONFIG = 2**20
MAX_PARAMETERS = 2**30  # 4 GB of weights


def build_model(config: ModelConfig | Mapping[str, Any]) -> MetaNetwork:
    """A fresh model of a configuration, or of its JSON types.

    Raises:
        DataError: an unknown model, a malformed configuration, or more parameters than any use of these models needs.
    """
    name = (
        config.model
        if isinstance(config, ModelConfig)
        else config.get("model")
        if isinstance(config, Mapping)
        else None
    )
    if not isinstance(name, str) or name not in MODELS:
        raise DataError(f"unknown model {shown(name)}; choose from {', '.join(MODELS)}")
    cls, config_cls = MODELS[name]
    config = config if isinstance(config, config_cls) else config_cls.from_dict(config)  # type: ignore[arg-type]
    with torch.device("meta"):
        size = cls(config).num_parameters
    if size > MAX_PARAMETERS:
        raise DataError(
            f"{name} would have {size:,} parameters for KANs {list(config.widths)}, {4 * size / 1e9:,.0f} GB; take a smaller hidden dimension, or more than one layer"
        )
    return cls(config)


def save_model(model: MetaNetwork, folder: Path | str) -> None:
    """Write ``config.json``, ``model.safetensors`` and a model card.

    Raises:
        DataError: the folder cannot be written to.
    """
    model.save_pretrained(folder)


def load_model(folder: Path | str) -> MetaNetwork:
    """Load what :func:`save_model` wrote, in evaluation mode. Runs no code of the folder's and checks sizes before allocating.

    Raises:
        DataError: files that are missing, damaged, of other numbers than single precision, or not finite, or an unknown model.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.exists():
        raise DataError(f"{folder} holds no model: it has no config.json; name the folder that one was saved in")
    data = mapping(read_json(path, MAX_CONFIG), f"{path}: a configuration")
    try:
        with torch.device("meta"):
            expected = build_model(data).state_dict()
    except RuntimeError as error:
        raise DataError(f"{path}: asks for an impossible size ({reason(error)})") from error
    tensors = _read_weights(folder / "model.safetensors", expected)
    model = build_model(data)
    model.load_state_dict(tensors)
    return model.eval()


def _read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
