"""The effect of pruning on classifiers: accuracy and kept edges, for masks of any origin (paper, section 5.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.engine.cost import time_once
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import kan_graph
from wskan.kan import Population, accuracy, edge_scores, oracle_masks
from wskan.kan.edges import flatten_edges, unflatten_edges
from wskan.tasks import GraphDataset, Pruning, Run, predict_split
from wskan.zoo import ClassifierConfig
from wskan.zoo.classifiers import Labels

SHARES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1.0)  # shares of edges to keep, for the trade-off
TRADE_OFF_IMAGES = 2_000  # images for the accuracies of the trade-off
TIMED = 16  # KANs to measure times on


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PruningCohort:
    """KANs to be pruned, and the images to test them on.

    Attributes:
        population: n KANs.
        labels: images and labels.
    """

    population: Population
    labels: Labels

    def accuracy_with(self, keep: Tensor, images: int | None = None) -> Tensor:
        """Return accuracies ``[n]`` in percent, with only the edges to keep ``[n, E]``.

        ``images`` limits the number of test images.
        """
        kans = self.population.prune(unflatten_edges(keep, self.population.spec.widths))
        return 100 * accuracy(kans, self.labels.test_inputs[:images], self.labels.test_labels[:images])

    def effect(self, score: Tensor, threshold: float) -> dict[str, Any]:
        """Return the effect of keeping the edges whose score ``[n, E]`` is above a threshold.

        Returns:
            ``accuracy`` and ``kept``, both in percent per KAN, and ``trade_off``.
        """
        keep = score > threshold
        return {
            "accuracy": self.accuracy_with(keep).tolist(),
            "kept": (100 * keep.float().mean(1)).tolist(),
            "trade_off": self.trade_off(score),
        }

    def trade_off(self, score: Tensor) -> dict[str, float]:
        """Return mean accuracies by the share of edges that is kept, in percent.

        The edges of all KANs with the highest scores ``[n, E]`` are kept.
        """
        order, means = score.flatten().argsort(descending=True, stable=True), {}
        for share in SHARES:
            best = torch.zeros(score.numel(), dtype=torch.bool)
            best[order[: round(share * len(order))]] = True
            means[f"{100 * share:g}"] = float(self.accuracy_with(best.view_as(score), TRADE_OFF_IMAGES).mean())
        return means


def oracle_effect(cohort: PruningCohort, oracle: ClassifierConfig) -> dict[str, Any]:
    """Compute the oracle's scores, and return the effect of pruning with them."""
    scores = edge_scores(cohort.population, cohort.labels.scored, oracle.score)
    return cohort.effect(flatten_edges(scores), oracle.threshold)


def run_effect(workspace: Workspace, plan: Plan, run: Run, labels: Labels, count: int) -> dict[str, Any]:
    """Return the effect of pruning the first ``count`` test KANs with the predictions of a run."""
    assert isinstance(run.task, Pruning)
    zoo = workspace.zoo_of(plan)
    dataset = GraphDataset(zoo, "test", run.task, run.features, device=workspace.torch_device, limit=count)
    score = run.task.decode(predict_split(run.model, dataset)[0])
    return PruningCohort(population=zoo.population(dataset.rows), labels=labels).effect(score, run.task.threshold)


def seconds_per_kan(
    cohort: PruningCohort, oracle: ClassifierConfig, run: Run, device: str, bf16: bool
) -> dict[str, float]:
    """Measure seconds per KAN of the oracle, and of a run's model from KANs to logits.

    The model runs on the CPU, and on the GPU as well if ``device`` is ``"cuda"``.
    """
    kans = cohort.population[: min(TIMED, len(cohort.population))]
    prune = partial(oracle_masks, kans, cohort.labels.scored, oracle.threshold, oracle.score)
    times = {"oracle": _best_time(prune), "ws_kan": _prediction_time(run, kans, "cpu", bf16)}
    if device == "cuda":
        times["ws_kan_cuda"] = _prediction_time(run, kans, "cuda", bf16)
    return {name: seconds / len(kans) for name, seconds in times.items()}


def _prediction_time(run: Run, kans: Population, device: str, bf16: bool) -> float:
    model, kans = run.model.to(device), kans.to(device)

    def predict() -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            model(kan_graph(kans, run.features))
        if device == "cuda":
            torch.cuda.synchronize()

    return _best_time(predict)


def _best_time(function: Callable[[], object]) -> float:
    function()  # warms up
    return min(time_once(function) for _ in range(3))
