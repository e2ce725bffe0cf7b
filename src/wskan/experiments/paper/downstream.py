"""What pruning does to classifiers: accuracy and edges left, for masks of any origin (paper, section 5.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.engine.cost import timed
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import kan_graph
from wskan.kan import Population, accuracy, edge_scores, oracle_masks
from wskan.kan.edges import flatten_edges, unflatten_edges
from wskan.tasks import GraphDataset, Pruning, Run, predict_split
from wskan.zoo import ClassifierConfig
from wskan.zoo.classifiers import Labels

SHARES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1.0)  # of edges kept, of the trade-off
TRADE_OFF_IMAGES = 2_000  # that its accuracies are measured on
TIMED = 16  # KANs


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PruningCohort:
    """KANs to be pruned, and what they are tested on.

    Attributes:
        population: n KANs.
        labels: images and labels.
    """

    population: Population
    labels: Labels

    def pruned(self, keep: Tensor, images: int | None = None) -> Tensor:
        """Accuracies ``[n]`` in percent with the edges ``[n, E]`` that are to be kept, on all test images or the first so many."""
        kans = self.population.prune(unflatten_edges(keep, self.population.spec.widths))
        return 100 * accuracy(kans, self.labels.test_inputs[:images], self.labels.test_labels[:images])

    def effect(self, score: Tensor, threshold: float) -> dict[str, Any]:
        """Of keeping the edges that score more than a threshold, ``[n, E]``.

        Returns:
            ``accuracy`` and ``kept``, both in percent, of each KAN; ``trade_off``.
        """
        keep = score > threshold
        return {
            "accuracy": self.pruned(keep).tolist(),
            "kept": (100 * keep.float().mean(1)).tolist(),
            "trade_off": self.trade_off(score),
        }

    def trade_off(self, score: Tensor) -> dict[str, float]:
        """Mean accuracies, by the share of the edges of all KANs together that is kept, in percent: those that score most, ``[n, E]``."""
        order, means = score.flatten().argsort(descending=True, stable=True), {}
        for share in SHARES:
            best = torch.zeros(score.numel(), dtype=torch.bool)
            best[order[: round(share * len(order))]] = True
            means[f"{100 * share:g}"] = float(self.pruned(best.view_as(score), TRADE_OFF_IMAGES).mean())
        return means


def oracle_effect(patients: PruningCohort, oracle: ClassifierConfig) -> dict[str, Any]:
    """Of the oracle's scores, measured anew."""
    scores = edge_scores(patients.population, patients.labels.scored, oracle.score)
    return patients.effect(flatten_edges(scores), oracle.threshold)


def run_effect(workspace: Workspace, plan: Plan, run: Run, labels: Labels, count: int) -> dict[str, Any]:
    """Of what a run says of the first test KANs, as it sees them."""
    assert isinstance(run.task, Pruning)
    zoo = workspace.zoo_of(plan)
    dataset = GraphDataset(zoo, "test", run.task, run.features, device=workspace.place, limit=count)
    score = run.task.decode(predict_split(run.model, dataset)[0])
    return PruningCohort(population=zoo.population(dataset.rows), labels=labels).effect(score, run.task.threshold)


def seconds_a_kan(
    patients: PruningCohort, oracle: ClassifierConfig, run: Run, place: str, bf16: bool
) -> dict[str, float]:
    """Of the oracle, and of a run's model, from KANs to logits: on the CPU, and where there is one on the GPU as well."""
    kans = patients.population[: min(TIMED, len(patients.population))]

    def predict(device: str) -> float:
        model, there = run.model.to(device), kans.to(device)

        def once() -> None:
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
                model(kan_graph(there, run.features))
            if device == "cuda":
                torch.cuda.synchronize()

        return best(once)

    def best(function: Callable[[], object]) -> float:
        function()  # warm
        return min(timed(function) for _ in range(3))

    def ask() -> None:
        oracle_masks(kans, patients.labels.scored, oracle.threshold, oracle.score)

    times = {"oracle": best(ask), "ws_kan": predict("cpu")}
    if place == "cuda":
        times["ws_kan_cuda"] = predict("cuda")
    return {name: seconds / len(kans) for name, seconds in times.items()}
