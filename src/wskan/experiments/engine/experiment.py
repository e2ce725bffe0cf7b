"""What an experiment is, and how methods are compared: hyperparameters chosen on validation, test score of all seeds."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wskan.errors import DataError, DivergedError
from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.signals import IMAGE_SETS
from wskan.tasks import Run, evaluate
from wskan.zoo import Recipe, Zoo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Args:
        scale: how large.
        datasets: names of images.
        seeds: of the runs.
        methods: if not all of the experiment's; see :data:`wskan.experiments.METHODS`.

    Raises:
        DataError: no data set, one that is no set of images, no seed or no method; or one of them twice.
    """

    scale: Scale
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, values in (("datasets", self.datasets), ("seeds", self.seeds), ("methods", self.methods)):
            if values is None:
                continue
            if not values or len(set(values)) < len(values):
                raise DataError(f"{name} must be at least one, and none twice, got {list(values)}")
        if unknown := sorted(set(self.datasets) - set(IMAGE_SETS)):
            raise DataError(f"no images {unknown}; there are {', '.join(IMAGE_SETS)}")

    def plans(self, dataset: str, method: str, samples: int | None = None, problem: Problem = "inr") -> list[Plan]:
        """Every choice of hyperparameters with every seed; sine waves have one (C.1.2). The SetTransformer only where the scale can afford it. None for a method that was not asked for."""
        if self.methods is not None and method not in self.methods:
            return []
        scale = self.scale.of(method)
        if problem != "inr":
            search = scale.classifiers.search(problem)
            return [
                Plan(scale=scale, dataset=dataset, method=method, rate=rate, seed=seed, problem=problem, hidden=hidden, num_layers=layers)
                for hidden, layers, rate, seed in itertools.product(search.hidden, search.num_layers, search.rates, self.seeds)
            ]  # fmt: skip
        seeds, limits = self.seeds, scale.set_transformer
        rates = (scale.waves.lr,) if dataset == "sine" else scale.rates
        if method == "set_transformer" and limits is not None:
            seeds = seeds[: limits[1]] if dataset in limits[0] else ()
        return [
            Plan(scale=scale, dataset=dataset, method=method, rate=rate, seed=seed, samples=samples)
            for rate in rates
            for seed in seeds
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """What an experiment shows.

    Args:
        tables: at least one; of the data sets asked for.
        runs: records of the runs in them.
        data: by data set, what a picture needs beside the tables.
        draw: makes the picture of all tables and data gathered so far, where groups of bars or lines are not what it shows.
    """

    tables: tuple[Table, ...]
    runs: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    draw: Callable[[Sequence[Table], Mapping[str, Any], Path], None] = lambda tables, data, path: draw_tables(
        tables, path
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or a figure of the paper.

    Args:
        name: as the command line calls it.
        plans: the runs that it needs.
        recipes: the zoos that it needs beside those of its runs.
        find: what it shows, once all of them are there.
        methods: those that it compares, of which some may be asked for.
        times: whether it takes times, which belong to a machine.
        classifiers: whether it is about zoos of classifiers.
        resize: the scale that it is run at, given the one that was asked for.
        settings: what its figures depend on beside the scale and the runs.
        seconds: for what it measures beside its runs and is not there yet.
        shares: the experiment that reports runs of this one, too, in tables of the same metrics: those in its result file stand in this one's tables.
    """

    name: str
    plans: Callable[[Request], list[Plan]]
    find: Callable[[Workspace, Request], ExperimentResult]
    recipes: Callable[[Request], list[Recipe]] = lambda request: []
    methods: tuple[str, ...] = ()
    times: bool = False
    classifiers: bool = False
    resize: Callable[[Scale], Scale] = lambda scale: scale
    settings: Callable[[Request], Any] = lambda request: None
    seconds: Callable[[Workspace, Request], float] = lambda workspace, request: 0.0
    shares: Experiment | None = None

    def request(
        self,
        scale: Scale,
        datasets: tuple[str, ...] | None = None,
        seeds: tuple[int, ...] | None = None,
        methods: tuple[str, ...] | None = None,
    ) -> Request:
        """To run it at a scale, on all of its data sets, with all of its seeds and methods unless told otherwise.

        Raises:
            DataError: see :class:`Request` and :meth:`check`.
        """
        scale = self.resize(scale)
        request = Request(
            scale=scale,
            datasets=self.datasets(scale) if datasets is None else datasets,
            seeds=scale.seeds if seeds is None else seeds,
            methods=methods,
        )
        self.check(request)
        return request

    def check(self, request: Request) -> None:
        """Refuse methods that it does not compare.

        Raises:
            DataError: one of them.
        """
        if unknown := sorted(set(request.methods or ()) - set(self.methods)):
            known = f"choose from {', '.join(self.methods)}" if self.methods else "it compares none"
            raise DataError(f"{self.name} has no methods {unknown}; {known}")

    def datasets(self, scale: Scale) -> tuple[str, ...]:
        """All of a scale that it is run at."""
        return scale.classifiers.datasets if self.classifiers else scale.datasets


def survivors(workspace: Workspace, plans: Sequence[Plan]) -> list[Plan]:
    """Those of hyperparameters with which training diverged with no seed."""
    diverged = {_choice(plan) for plan in plans if workspace.diverged(plan)}
    return [plan for plan in plans if _choice(plan) not in diverged]


def best_choice(workspace: Workspace, plans: Sequence[Plan]) -> list[tuple[Plan, Run]]:
    """The runs of the hyperparameters with the best mean score on the validation split, of those that never diverged. Test scores are not looked at.

    Raises:
        DivergedError: none of them.
    """
    by_choice: dict[tuple[Any, ...], list[tuple[Plan, Run]]] = {}
    for plan in survivors(workspace, plans):
        by_choice.setdefault(_choice(plan), []).append((plan, workspace.open(plan)))
    if not by_choice:
        raise DivergedError(
            f"training diverged with all hyperparameters of {plans[0]}; leave its method out (--methods)"
        )
    task = plans[0].task

    def score(choice: tuple[Any, ...]) -> float:
        value = statistics.fmean(run.record["val"][task.monitor] for _, run in by_choice[choice])
        return value if task.mode == "max" else -value

    return by_choice[max(by_choice, key=score)]


def _choice(plan: Plan) -> tuple[Any, ...]:
    """Of hyperparameters."""
    return plan.rate, plan.hidden, plan.num_layers


def measured(
    workspace: Workspace,
    plans: Sequence[Plan],
    paper: tuple[float, float] | None,
    metric: str | None = None,
    factor: float = 1.0,
) -> Cell:
    """Test scores of the best hyperparameters, by the metric that chose them or by another, times a factor."""
    chosen = best_choice(workspace, plans)
    first, metric = chosen[0][0], metric or chosen[0][0].task.monitor
    size = {name: value for name in ("hidden", "num_layers") if (value := getattr(first, name)) is not None}
    return Cell(
        values=tuple(factor * run.record["test"][metric] for _, run in chosen),
        paper=paper,
        facts={
            "rate": first.rate,
            **size,
            "val": [factor * run.record["val"][metric] for _, run in chosen],
            "parameters": chosen[0][1].record["parameters"],
            "train_seconds": [run.record["train_seconds"] for _, run in chosen],
            "seeds": [plan.seed for plan, _ in chosen],
            "runs": [plan.name for plan, _ in chosen],
        },
    )


def evaluated(
    workspace: Workspace,
    chosen: Sequence[tuple[Plan, Run]],
    zoo: Zoo,
    paper: tuple[float, float] | None = None,
    **facts: Any,
) -> Cell:
    """Test scores of chosen runs on another zoo than their own, or on it, with facts about them and the zoo, and others."""
    values = tuple(
        evaluate(run.model, zoo, plan.task, run.features, device=workspace.place)[plan.task.monitor]
        for plan, run in chosen
    )
    seeds, runs = [plan.seed for plan, _ in chosen], [plan.name for plan, _ in chosen]
    return Cell(values=values, paper=paper, facts={"seeds": seeds, "runs": runs, "zoo": zoo.recipe.digest, **facts})


def run_records(workspace: Workspace, plans: Sequence[Plan]) -> dict[str, Any]:
    """What was asked of each run and what came out, for the result file; nothing of those that diverged."""
    return {plan.name: workspace.open(plan).record for plan in plans if not workspace.diverged(plan)}
