"""The base class and the table of models; saving and loading."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, snapshot_download
from safetensors.torch import save
from torch import nn

from wskan.errors import DataError, reason
from wskan.files import write_atomically
from wskan.graph import KANGraph
from wskan.models.config import ModelConfig
from wskan.models.saving import read_weights
from wskan.models.standardize import Standardize
from wskan.reading import mapping, read_json, shown

MODELS: dict[str, tuple[type["MetaNetwork"], type[ModelConfig]]] = {}
"""All models by name, with their configurations. Files can only name entries of this table, never code to import."""

MAX_CONFIG = 2**20
MAX_PARAMETERS = 2**30  # 4 GB of weights


CARD = """---
{{ card_data }}
---

# {{ config.model }}

A model of `wskan` ([paper](https://arxiv.org/abs/2602.16316)). It reads the weights of Kolmogorov-Arnold networks with
widths like {{ config.widths | list }} and {{ config.edge_dim }} features per edge, and returns
{{ config.out_dim }} number{{ "" if config.out_dim == 1 else "s" }} per {{ config.readout }}. `config.json` holds its
configuration. Training data and scores are in `run.json` in the folder of its run.

    from wskan.models import load_model

    model = load_model("FOLDER")  # takes wskan.graph.kan_graph(kans)
"""


class MetaNetwork(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="wskan",
    tags=["kolmogorov-arnold-networks", "weight-space-learning"],
    model_card_template=CARD,
):
    """The base of all models, which read a :class:`wskan.graph.KANGraph` of raw features.

    ``forward`` begins with ``graph = self.standardize(self.observe(graph))``. It returns ``[B, out_dim]`` with the
    graph readout, or ``[B, n_l, n_{l+1}, out_dim]`` per layer with the edge readout. Models are saved to and loaded
    from a folder (``save_pretrained``, ``from_pretrained``, or :func:`wskan.models.load_model`).
    """

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.standardize = Standardize(*config.observed)

    def observe(self, graph: KANGraph) -> KANGraph:
        """Return the graphs that are then standardised; the same unless the model evaluates the KANs."""
        return graph

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:  # type: ignore[override]
        """Load a model from a folder or from the Hub, with all checks of :func:`wskan.models.load_model`.

        Args:
            name: a folder, or the name of a model on the Hub.
            options: options of ``huggingface_hub.snapshot_download``, such as ``revision``.

        Raises:
            DataError: Files are missing or damaged, weights are not finite, or the model is of another class.
        """
        try:
            files = ["config.json", "model.safetensors"]
            folder = name if Path(name).is_dir() else snapshot_download(str(name), allow_patterns=files, **options)
        except Exception as error:  # no network, no such model, or an invalid name
            raise DataError(
                f"{name} is not a folder and cannot be downloaded from the Hub ({reason(error)})"
            ) from error
        model = load_model(folder)
        if not isinstance(model, cls):
            raise DataError(f"{name} holds a {type(model).__name__}, not a {cls.__name__}")
        return model

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """Return the model card, which becomes ``README.md``."""
        return super().generate_model_card(*args, config=self.config.to_dict(), **kwargs)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> str | None:
        """Write ``config.json``, ``model.safetensors`` and, if there is none, a model card.

        Hugging Face's own writer would follow links, and lose the old file if the disk is full.

        Raises:
            DataError: The folder cannot be written to.
        """
        folder = Path(save_directory)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        data = save(tensors, {"format": "pt"})
        write_atomically(folder / "model.safetensors", lambda path: path.write_bytes(data))
        text = json.dumps(self.config.to_dict(), sort_keys=True, indent=2)
        write_atomically(folder / "config.json", lambda path: path.write_text(text))
        if not (folder / "README.md").exists():
            card = str(self.generate_model_card(**model_card_kwargs or {}))
            write_atomically(folder / "README.md", lambda path: path.write_text(card, encoding="utf-8"))
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id=repo_id or folder.name, model_card_kwargs=model_card_kwargs, **kwargs)

    @property
    def num_parameters(self) -> int:
        """Return the number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


T = TypeVar("T", bound=MetaNetwork)


def register_model(name: str, config: type[ModelConfig]) -> Callable[[type[T]], type[T]]:
    """Return a decorator that enters a class in :data:`MODELS`.

    Args:
        name: name in configurations and on the command line.
        config: class of its configuration.

    Raises:
        DataError: Another model has this name.
    """

    def enter(cls: type[T]) -> type[T]:
        if name in MODELS and MODELS[name][0].__qualname__ != cls.__qualname__:
            raise DataError(f"the name {shown(name)} belongs to {MODELS[name][0].__name__}; choose another")
        MODELS[name] = (cls, config)
        return cls

    return enter


def build_model(config: ModelConfig | Mapping[str, Any]) -> MetaNetwork:
    """Build a new model from a configuration, or from the plain JSON types of one.

    Raises:
        DataError: The model is unknown, its configuration is malformed, or it would have more than 2^30 parameters.
    """
    name: Any = None
    if isinstance(config, ModelConfig):
        name = config.model
    elif isinstance(config, Mapping):
        name = config.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise DataError(f"unknown model {shown(name)}; choose from {', '.join(MODELS)}")
    cls, config_cls = MODELS[name]
    config = config if isinstance(config, config_cls) else config_cls.from_dict(config)  # type: ignore[arg-type]
    with torch.device("meta"):
        size = cls(config).num_parameters
    if size > MAX_PARAMETERS:
        raise DataError(
            f"{name} would have {size:,} parameters ({4 * size / 1e9:,.0f} GB) for KANs {list(config.widths)}; "
            "choose a smaller hidden dimension, or more than one layer"
        )
    return cls(config)


def save_model(model: MetaNetwork, folder: Path | str) -> None:
    """Write ``config.json``, ``model.safetensors`` and a model card to a folder.

    Raises:
        DataError: The folder cannot be written to.
    """
    model.save_pretrained(folder)


def load_model(folder: Path | str) -> MetaNetwork:
    """Load a model that :func:`save_model` wrote, in evaluation mode.

    It runs no code from the folder and checks sizes before it allocates memory.

    Raises:
        DataError: Files are missing or damaged, weights are not finite or not in single precision, or the model is
            unknown.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.exists():
        raise DataError(f"{folder} holds no model: it has no config.json; name the folder in which a model was saved")
    data = mapping(read_json(path, MAX_CONFIG), f"{path}: a configuration")
    try:
        with torch.device("meta"):
            expected = build_model(data).state_dict()
    except RuntimeError as error:
        raise DataError(f"{path}: the model has an impossible size ({reason(error)})") from error
    tensors = read_weights(folder / "model.safetensors", expected)
    model = build_model(data)
    model.load_state_dict(tensors)
    return model.eval()
