"""Experiments: tables and figures, requests to run them, and their results."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wskan.errors import DataError
from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.methods import CURRENT_NAMES
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Table
from wskan.experiments.engine.workspace import Workspace
from wskan.signals import IMAGE_SETS
from wskan.zoo import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The scale, data sets, seeds and methods to run an experiment with.

    Args:
        scale: sizes and hyperparameters.
        datasets: names of images.
        seeds: seeds of the runs.
        methods: keys in :data:`wskan.experiments.METHODS`, if not all methods of the experiment.

    Raises:
        DataError: if data sets, seeds or methods are empty or repeated, or if a data set is unknown.
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
                raise DataError(f"{name} must contain at least one value and no value twice, got {list(values)}")
        if unknown := sorted(set(self.datasets) - set(IMAGE_SETS)):
            raise DataError(f"no images {unknown}; choose from {', '.join(IMAGE_SETS)}")

    def plans(self, dataset: str, method: str, train_limit: int | None = None, problem: Problem = "inr") -> list[Plan]:
        """Return the runs of a method on a data set: every choice of hyperparameters with every seed.

        The list is empty for a method that is not requested. Sine waves have one choice (C.1.2). The SetTransformer
        is limited to the data sets and seeds of the scale.
        """
        if self.methods is not None and method not in self.methods:
            return []
        scale = self.scale.of(method)
        if problem != "inr":
            return self._classifier_plans(scale, dataset, method, problem)
        seeds, limits = self.seeds, scale.set_transformer
        rates = (scale.waves.lr,) if dataset == "sine" else scale.rates
        if method == "set_transformer" and limits is not None:
            seeds = seeds[: limits[1]] if dataset in limits[0] else ()
        return [
            Plan(scale=scale, dataset=dataset, method=method, lr=lr, seed=seed, train_limit=train_limit)
            for lr, seed in itertools.product(rates, seeds)
        ]

    def _classifier_plans(self, scale: Scale, dataset: str, method: str, problem: Problem) -> list[Plan]:
        search = scale.classifiers.search(problem)
        common: dict[str, Any] = {"scale": scale, "dataset": dataset, "method": method, "problem": problem}
        return [
            Plan(**common, hidden=hidden, num_layers=layers, lr=lr, seed=seed)
            for hidden, layers, lr, seed in itertools.product(
                search.hidden, search.num_layers, search.rates, self.seeds
            )
        ]


def _draw_tables(tables: Sequence[Table], data: Mapping[str, Any], path: Path) -> None:
    draw_tables(tables, path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """The result of an experiment.

    Args:
        tables: at least one table, for the requested data sets.
        runs: records of the runs in the tables, by name.
        data: by data set, further data for the picture.
        draw: draws the picture from all tables and data, including earlier ones; panels of bars or lines by default.
    """

    tables: tuple[Table, ...]
    runs: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    draw: Callable[[Sequence[Table], Mapping[str, Any], Path], None] = _draw_tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or a figure.

    Args:
        name: the name on the command line.
        plans: returns the runs that it needs.
        analyse: returns the result, once all runs are finished.
        recipes: returns the zoos that it needs in addition to those of its runs.
        methods: the methods that it compares; a request may name some of them.
        times: whether it measures times, which depend on the machine.
        classifiers: whether it is about zoos of classifiers.
        resize: returns the scale to run it at, given the requested scale.
        settings: returns what its numbers depend on besides the scale and the runs.
        seconds: estimates the time of measurements that are missing, apart from runs.
        reuses_runs_of: an experiment with some of the same runs and tables of the same metrics. Cells of such runs
            are copied from its result file.
    """

    name: str
    plans: Callable[[Request], list[Plan]]
    analyse: Callable[[Workspace, Request], ExperimentResult]
    recipes: Callable[[Request], list[Recipe]] = lambda request: []
    methods: tuple[str, ...] = ()
    times: bool = False
    classifiers: bool = False
    resize: Callable[[Scale], Scale] = lambda scale: scale
    settings: Callable[[Request], Any] = lambda request: None
    seconds: Callable[[Workspace, Request], float] = lambda workspace, request: 0.0
    reuses_runs_of: Experiment | None = None

    def request(
        self,
        scale: Scale,
        datasets: tuple[str, ...] | None = None,
        seeds: tuple[int, ...] | None = None,
        methods: tuple[str, ...] | None = None,
    ) -> Request:
        """Return the request to run it at a scale, with all of its data sets, seeds and methods by default.

        Raises:
            DataError: see :class:`Request` and :meth:`check`.
        """
        scale = self.resize(scale)
        request = Request(
            scale=scale,
            datasets=self.datasets(scale) if datasets is None else datasets,
            seeds=scale.seeds if seeds is None else seeds,
            methods=None if methods is None else tuple(CURRENT_NAMES.get(name, name) for name in methods),
        )
        self.check(request)
        return request

    def check(self, request: Request) -> None:
        """Check that it compares the requested methods.

        Raises:
            DataError: if it does not compare one of them.
        """
        if unknown := sorted(set(request.methods or ()) - set(self.methods)):
            known = f"choose from {', '.join(self.methods)}" if self.methods else "it does not compare methods"
            raise DataError(f"{self.name} has no methods {unknown}; {known}")

    def datasets(self, scale: Scale) -> tuple[str, ...]:
        """Return all data sets of a scale that it has been resized for."""
        return scale.classifiers.datasets if self.classifiers else scale.datasets
