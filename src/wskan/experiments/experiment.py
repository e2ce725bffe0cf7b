"""What an experiment is, and how methods are compared: learning rate chosen on validation, test score of all seeds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from wskan.errors import DataError
from wskan.experiments.plan import Plan
from wskan.experiments.scale import Scale
from wskan.experiments.table import Cell, Table
from wskan.experiments.workspace import Workspace
from wskan.signals import IMAGE_SETS
from wskan.tasks import Run
from wskan.zoo import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Args:
        scale: how large.
        datasets: names of images.
        seeds: of the runs.

    Raises:
        DataError: no data set, one that is no set of images, or no seed; or one of them twice.
    """

    scale: Scale
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, values in (("datasets", self.datasets), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise DataError(f"{name} must be at least one, and none twice, got {list(values)}")
        if unknown := sorted(set(self.datasets) - set(IMAGE_SETS)):
            raise DataError(f"no images {unknown}; there are {', '.join(IMAGE_SETS)}")

    def plans(self, dataset: str, method: str, samples: int | None = None) -> list[Plan]:
        """Every learning rate with every seed; sine waves have one rate (C.1.2). The SetTransformer only where the scale can afford it."""
        seeds, limits = self.seeds, self.scale.set_transformer
        rates = (self.scale.waves.lr,) if dataset == "sine" else self.scale.rates
        if method == "set_transformer" and limits is not None:
            seeds = seeds[: limits[1]] if dataset in limits[0] else ()
        return [
            Plan(scale=self.scale, dataset=dataset, method=method, rate=rate, seed=seed, samples=samples)
            for rate in rates
            for seed in seeds
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or a figure of the paper.

    Args:
        name: as the command line calls it.
        plans: the runs that it needs.
        recipes: the zoos that it needs beside those of its runs.
        table: what it shows, once all of them are there, and the records of its runs.
        times: whether it takes times, which belong to a machine.
    """

    name: str
    plans: Callable[[Request], list[Plan]]
    table: Callable[[Workspace, Request], tuple[Table, dict[str, Any]]]
    recipes: Callable[[Request], list[Recipe]] = lambda request: []
    times: bool = False


def best_rate(workspace: Workspace, plans: Sequence[Plan]) -> list[tuple[Plan, Run]]:
    """The runs of the learning rate with the best mean score on the validation split. Test scores are not looked at."""
    by_rate: dict[float, list[tuple[Plan, Run]]] = {}
    for plan in plans:
        by_rate.setdefault(plan.rate, []).append((plan, workspace.open(plan)))
    task = plans[0].task

    def score(rate: float) -> float:
        value = statistics.fmean(run.record["val"][task.monitor] for _, run in by_rate[rate])
        return value if task.mode == "max" else -value

    return by_rate[max(by_rate, key=score)]


def measured(workspace: Workspace, plans: Sequence[Plan], paper: tuple[float, float] | None) -> Cell:
    """Test scores of the best learning rate."""
    chosen = best_rate(workspace, plans)
    metric = chosen[0][0].task.monitor
    return Cell(
        values=tuple(run.record["test"][metric] for _, run in chosen),
        paper=paper,
        facts={
            "rate": chosen[0][0].rate,
            "val": [run.record["val"][metric] for _, run in chosen],
            "parameters": chosen[0][1].record["parameters"],
            "train_seconds": [run.record["train_seconds"] for _, run in chosen],
            "seeds": [plan.seed for plan, _ in chosen],
            "runs": [plan.name for plan, _ in chosen],
        },
    )


def run_records(workspace: Workspace, plans: Sequence[Plan]) -> dict[str, Any]:
    """What was asked of each run and what came out, for the result file."""
    return {plan.name: workspace.open(plan).record for plan in plans}
