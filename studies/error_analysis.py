"""Compare errors of predicted accuracies per KAN (tables 3 and 7), and score masks without a KAN.

Part of ``method_ranking.py``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor

from wskan.experiments.engine.methods import RAW
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import kan_graph
from wskan.kan.edges import flatten_edges
from wskan.tasks import GraphDataset, predict_split
from wskan.tasks.binary_metrics import roc_auc
from wskan.zoo import Zoo
from wskan.zoo.manifest import sha256

WORST = 5  # KANs of 200
# Methods whose errors are compared.
PAIRS = (
    ("ws_kan", "deepsets"),
    ("function", "deepsets"),
    ("function", "ws_kan"),
    ("no_pe", "ws_kan"),
    ("no_bidir", "ws_kan"),
)
FIFTHS = 5
SEEDS = range(3)


def squared_errors(workspace: Workspace, plan: Plan, split: str) -> Tensor:
    """Return the squared error of a finished run for each KAN of a split, ``[n]``."""
    predicted, accuracy = predictions(workspace, plan, split)
    return (predicted - accuracy).square()


def predictions(workspace: Workspace, plan: Plan, split: str) -> tuple[Tensor, Tensor]:
    """Return predicted accuracies of a finished run and true ones, ``[n]``, cached in the workspace."""
    run = workspace.open(plan)

    def compute() -> list[list[float]]:
        dataset = GraphDataset(workspace.zoo_of(plan), split, run.task, run.features)
        output, target = predict_split(run.model, dataset)
        return [run.task.decode(output).flatten().tolist(), target.flatten().tolist()]

    model = sha256(run.folder / "model" / "model.safetensors")
    predicted, accuracy = workspace.cached({"accuracies": plan.name, "model": model, "split": split}, compute)
    return torch.tensor(predicted), torch.tensor(accuracy)


def outliers(workspace: Workspace, plan: Plan) -> dict[str, Any]:
    """Return the validation KANs that make most of the squared error."""
    predicted, accuracy = predictions(workspace, plan, "val")
    error = (predicted - accuracy).square()
    order = error.argsort(descending=True)[:WORST]
    return {
        "share_of_error": float(error[order].sum() / error.sum()),
        "kans": order.tolist(),
        "predicted": predicted[order].tolist(),
        "accuracy": accuracy[order].tolist(),
    }


def compared(workspace: Workspace, dataset: str, plan_of: Callable[[str, int], Plan]) -> dict[str, dict[str, Any]]:
    """Compare the errors of finished runs on the test KANs of a data set.

    Errors are compared on all KANs and by fifths of the largest number in a KAN. Returns nothing without a WS-KAN.

    Args:
        workspace: with the runs.
        dataset: its name.
        plan_of: the run of a method and a seed.
    """
    finished = {m: [p for seed in SEEDS if workspace.is_finished(p := plan_of(m, seed))] for m in methods()}
    if not finished["ws_kan"]:
        return {}
    errors = {m: _mean_over_seeds(workspace, plans) for m, plans in finished.items() if plans}
    zoo = workspace.zoo_of(finished["ws_kan"][0])
    size = torch.tensor((numbers := largest_features(zoo, "test"))["largest"])
    fifths = size.argsort().chunk(FIFTHS)  # smallest first
    return {
        f"validation KANs, {dataset}": largest_features(zoo, "val"),
        f"test KANs, {dataset}": {
            "median_a_layer": numbers["median_a_layer"],
            "largest_number_by_fifth": [float(size[rows].max()) for rows in fifths],
            "mse_by_fifth": {m: [float(error[rows].mean()) for rows in fifths] for m, error in errors.items()},
        },
        **{
            f"{first} less {second}, {dataset}": {
                **interval_of(gap := errors[first] - errors[second]),
                "fifths_by_largest_number": [interval_of(gap[rows]) for rows in fifths],
                "seeds": [len(finished[first]), len(finished[second])],
            }
            for first, second in PAIRS
            if first in errors and second in errors
        },
    }


def methods() -> list[str]:
    """Return the methods whose errors are compared, each once."""
    return list(dict.fromkeys(method for pair in PAIRS for method in pair))


def _mean_over_seeds(workspace: Workspace, plans: list[Plan]) -> Tensor:
    return torch.stack([squared_errors(workspace, plan, "test") for plan in plans]).mean(0)  # [n]


def interval_of(gap: Tensor) -> dict[str, float]:
    """Return the mean of differences ``[n]`` of errors and its 95 % interval (paired bootstrap over KANs)."""
    interval = bootstrap((gap.numpy(),), np.mean, method="percentile", rng=0).confidence_interval
    return {"mse": float(gap.mean()), "low": float(interval.low), "high": float(interval.high)}


def largest_features(zoo: Zoo, split: str) -> dict[str, Any]:
    """Return the largest absolute feature (eq. 5) of each KAN of a split, and the median per layer."""
    graph = kan_graph(zoo.population(zoo.split(split)), RAW)
    largest = torch.stack([edges.abs().amax((1, 2, 3)) for edges in graph.edges]).amax(0)
    medians = [float(edges.abs().median()) for edges in graph.edges]
    return {"largest": largest.tolist(), "median_a_layer": medians}


def prior(zoo: Zoo) -> dict[str, float]:
    """Return the ROC-AUC on test KANs of two scores that ignore the KAN.

    They are the number of training KANs that keep an edge, and the number of kept edges of its first neuron.
    """
    train, test = zoo.masks(zoo.split("train")), zoo.masks(zoo.split("test"))
    kept = flatten_edges(test)
    scores = {
        "edge": [mask.float().mean(0, keepdim=True) for mask in train],
        "first neuron": [mask.float().mean((0, 2)).view(1, -1, 1).expand(1, *mask.shape[1:]) for mask in train],
    }
    return {
        f"test_auc, by {what}": roc_auc(flatten_edges(score).expand_as(kept).flatten(), kept.flatten())
        for what, score in scores.items()
    }
