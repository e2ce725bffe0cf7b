"""Scoring a trained model on a split of a zoo."""

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

BATCH, EDGES = 128, 2**18  # graphs, and edges of them, that a model sees at once


@torch.inference_mode()
def predict(
    model: MetaNetwork, batches: Iterable[tuple[KANGraph, Tensor]], precision: Precision = "32"
) -> tuple[Tensor, Tensor]:
    """Outputs ``[n, out_dim]``, or ``[n, E * out_dim]`` with the edge read-out, and targets ``[n, ...]`` of all batches, on the CPU in single precision; ``"bf16"`` is that of the model's products."""
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
    """:func:`predict` for a whole split, by default with as many graphs at once as fit in little memory."""
    size = batch_size or graphs_per_batch(dataset.zoo.spec)
    return predict(model.to(dataset.device), graph_loader(dataset, size))


def graphs_per_batch(spec: KANSpec) -> int:
    """So many KAN-graphs as fit in little memory."""
    return max(1, min(BATCH, EDGES // spec.num_edges))


def score(task: Task, output: Tensor, target: Tensor) -> dict[str, float]:
    """Metrics and loss of what :func:`predict` returns."""
    metrics = task.metrics()
    metrics.update(task.decode(output), target)
    return {name: float(value) for name, value in metrics.compute().items()} | {
        "loss": float(task.loss(output, target))
    }


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
    """Metrics of a model on a split, in single precision.

    Args:
        model: takes graphs of the zoo; that their features mean what it learned is not known here (:meth:`wskan.tasks.Run.check`).
        zoo: where they come from.
        task: what is measured; that of the model's run, for what was chosen on the validation split (:attr:`wskan.tasks.Run.task`).
        features: choice of features.
        split: ``"train"``, ``"val"`` or ``"test"``.
        batch_size: graphs at once, if not as many as fit in little memory.
        device: where.

    Raises:
        DataError: the zoo lacks what the task needs, or the model was made for another task.
        ShapeError: its graphs do not fit the model.
    """
    task.check_model(model.config)
    dataset = GraphDataset(zoo, split, task, features or FeatureConfig(), device=device)
    return score(task, *predict_split(model, dataset, batch_size))
