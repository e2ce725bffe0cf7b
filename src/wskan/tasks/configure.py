"""Configurations of a model and of its training, made from names and options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from wskan.errors import DataError, did_you_mean
from wskan.graph import EVALUABLE, FeatureConfig
from wskan.kan import KANSpec
from wskan.models import MODELS, EvaluatingConfig, ModelConfig, OutputsConfig
from wskan.reading import shown
from wskan.tasks.config import TrainConfig
from wskan.tasks.task import Task

DERIVED = ("model", "widths", "edge_dim", "node_dim", "bias_dim", "out_dim", "readout", "format_version")
"""Fields of a model's configuration that follow from the KANs, the task and the features."""

COMMON_OPTIONS = ("hidden", "num_layers", "dropout")  # every model has these


def default_features(
    model: str | ModelConfig, spec: KANSpec, options: Mapping[str, Any] | None = None
) -> FeatureConfig:
    """Choose the default features for a model.

    Args:
        model: name in :data:`wskan.models.MODELS`, or a configuration.
        spec: architecture of the KANs.
        options: fields of the model's configuration.

    Returns:
        Every parameter of the KAN for a model that evaluates KANs itself. Other models get
        :meth:`wskan.graph.FeatureConfig.recommended`.

    Raises:
        DataError: there is no model of that name.
    """
    if isinstance(model, ModelConfig):
        evaluates = isinstance(model, EvaluatingConfig) and model.evaluates
    else:
        evaluates = issubclass(_config_class(model), OutputsConfig) or bool((options or {}).get("learned_probes"))
    return EVALUABLE if evaluates else FeatureConfig.recommended(spec)


def model_config(model: str, spec: KANSpec, task: Task, features: FeatureConfig, **options: Any) -> ModelConfig:
    """Configure a model for KANs, a task and a choice of features.

    Args:
        model: name in :data:`wskan.models.MODELS`.
        spec: architecture of the KANs.
        task: what the model predicts.
        features: what it reads.
        options: other fields of its configuration: ``hidden``, ``num_layers``, ``dropout`` and its specific ones.

    Raises:
        DataError: there is no model of that name, it has no such option, or a value is out of range.

    Example:
        >>> import wskan
        >>> from wskan.tasks import get_task, model_config
        >>> spec = wskan.KANSpec(widths=(2, 8, 8, 1), grid=5, degree=3)
        >>> features = wskan.FeatureConfig(form="observed", probes=64)
        >>> model_config("ws_kan", spec, get_task("inr-classification"), features, hidden=64).out_dim
        10
    """
    cls = _config_class(model)
    if unknown := sorted(options.keys() - model_options(model)):
        names = [*model_options(model), *(field.name for field in dataclasses.fields(TrainConfig))]
        hint = did_you_mean(unknown[0], names)
        raise DataError(
            f"model {model} has no {' and no '.join(unknown)}{hint}; it has {', '.join(model_options(model))}"
        )
    return cls(
        model=model,
        widths=spec.widths,
        edge_dim=features.edge_dim(spec),
        node_dim=features.node_dim(spec),
        bias_dim=features.bias_dim,
        out_dim=task.out_dim,
        readout=task.readout,
        **options,
        **cls.fields_of(spec),
    )


def model_options(model: str) -> list[str]:
    """List the options of a model, that is, the fields of its configuration that do not follow from other arguments."""
    cls = _config_class(model)
    derived = {*DERIVED, *(field.name for field in dataclasses.fields(EvaluatingConfig))} - set(COMMON_OPTIONS)
    return [field.name for field in dataclasses.fields(cls) if field.name not in derived]


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into the fields of :class:`TrainConfig` and the others."""
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    training = {name: value for name, value in options.items() if name in names}
    return training, {name: value for name, value in options.items() if name not in names}


def _config_class(model: str) -> type[ModelConfig]:
    if model not in MODELS:
        raise DataError(f"unknown model {shown(model)}{did_you_mean(model, MODELS)}; choose from {', '.join(MODELS)}")
    return MODELS[model][1]
