"""Predictions and metrics of a trained model on a split of a zoo."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from wskan.graph import FeatureConfig, KANGraph
from wskan.kan import KANSpec
from wskan.models import MetaNetwork
from wskan.runtime import retain_freed_memory
from wskan.tasks.config import Precision
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.output import flatten_output
from wskan.tasks.task import Task
from wskan.zoo import Zoo

MAX_GRAPHS, MAX_EDGES = 128, 2**18  # per batch


@torch.inference_mode()
def predict(
    model: MetaNetwork, batches: Iterable[tuple[KANGraph, Tensor]], precision: Precision = "32"
) -> tuple[Tensor, Tensor]:
    """Run a model over batches, without gradients.

    Args:
        model: the model. Its training mode is restored afterwards.
        batches: graphs and targets, on the device of the model.
        precision: ``"bf16"`` computes the matrix products of the model in bfloat16.

    Returns:
        Outputs and targets of all batches on the CPU. Outputs are in single precision, ``[n, out_dim]``, or
        ``[n, E * out_dim]`` with the edge readout. Targets are ``[n, ...]``.
    """
    was_training = model.training
    model.eval()
    outputs, targets = [], []
    with retain_freed_memory():
        for graph, target in batches:
            with torch.autocast(graph.edges[0].device.type, torch.bfloat16, enabled=precision == "bf16"):
                outputs.append(flatten_output(model(graph)).cpu())
            targets.append(target.cpu())
    model.train(was_training)
    return torch.cat(outputs), torch.cat(targets)


def predict_split(model: MetaNetwork, dataset: GraphDataset, batch_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Run a model over a whole split, by default in batches that need little memory; see :func:`predict`."""
    size = batch_size or graphs_per_batch(dataset.zoo.spec)
    return predict(model.to(dataset.device), graph_loader(dataset, size))


def graphs_per_batch(spec: KANSpec) -> int:
    """Choose how many KAN-graphs to process at once so that they need little memory."""
    return max(1, min(MAX_GRAPHS, MAX_EDGES // spec.num_edges))


def score(task: Task, output: Tensor, target: Tensor) -> dict[str, float]:
    """Compute the metrics of a task and its loss, from outputs and targets of :func:`predict`."""
    metrics = task.metrics()
    metrics.update(task.decode(output), target)
    values = {name: float(value) for name, value in metrics.compute().items()}
    return {**values, "loss": float(task.loss(output, target))}


def evaluate(
    model: MetaNetwork,
    zoo: Zoo,
    task: Task,
    features: FeatureConfig | None = None,
    *,
    split: str = "test",
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Compute the metrics of a model on a split, in single precision.

    Args:
        model: a model for graphs of this zoo. Whether the features have the same meaning as in training is not checked
            here; :meth:`wskan.tasks.Run.evaluate` does.
        zoo: zoo of the KANs.
        task: task to score. Use :attr:`wskan.tasks.Run.task`, which contains what was chosen on the validation split.
        features: choice of features.
        split: ``"train"``, ``"val"`` or ``"test"``.
        batch_size: graphs per batch, by default as many as fit in little memory.
        device: device to compute on.

    Returns:
        The metrics by name, and ``"loss"``.

    Raises:
        DataError: the zoo lacks columns that the task needs, or the model was made for another task.
        ShapeError: the graphs do not fit the model.
    """
    task.check_model(model.config)
    dataset = GraphDataset(zoo, split, task, features or FeatureConfig(), device=device)
    return score(task, *predict_split(model, dataset, batch_size))
