"""Comparison of methods on data sets: tables 1, 3, 4 and 6 to 10."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from wskan.experiments.engine import closed_form
from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS, paper_row
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import cell_from_runs, non_diverged, run_records
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace

PlansByCell = Mapping[tuple[str, str], list[Plan]]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of runs, which has a table of its own.

    Args:
        name: key in the scores of a run.
        title: title of the table.
        unit: unit of its numbers.
        better: the better direction.
        paper: name of the paper's table in paper.json.
        factor: factor to multiply scores by.
        decimals: decimals of numbers of at least 10.
    """

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    paper: str
    factor: float = 1.0
    decimals: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison whose rows are methods and whose columns are data sets, with one table per metric.

    Args:
        problem: what is learned.
        methods: keys in :data:`wskan.experiments.METHODS`.
        metrics: one table each.
        notes: returns the notes of all tables.
        labels: labels of rows, if not those of the methods.
        other_dataset_methods: methods on other data sets than the first of the scale, if not all.
        full_methods: methods at scale ``full``, if others.
        untrained: whether scale ``full`` also has the scores in closed form.
    """

    problem: Problem
    methods: Sequence[str]
    metrics: Sequence[Metric]
    notes: Callable[[Workspace, Request], Sequence[str]]
    labels: Mapping[str, str] | None = None
    other_dataset_methods: Sequence[str] | None = None
    full_methods: Sequence[str] | None = None
    untrained: bool = False

    @property
    def all_methods(self) -> tuple[str, ...]:
        """Return the methods of any scale."""
        return tuple(dict.fromkeys([*self.methods, *(self.full_methods or ())]))

    def experiment(
        self,
        name: str,
        *,
        resize: Callable[[Scale], Scale] = lambda scale: scale,
        reuses_runs_of: Experiment | None = None,
    ) -> Experiment:
        """Return the experiment of this name; see :class:`Experiment` for the arguments."""
        return Experiment(
            name=name,
            plans=self._plans,
            analyse=self._analyse,
            methods=self.all_methods,
            classifiers=self.problem != "inr",
            resize=resize,
            reuses_runs_of=reuses_runs_of,
        )

    def _methods_of(self, scale: Scale) -> Sequence[str]:
        return self.full_methods if self.full_methods is not None and scale.compares_best_models else self.methods

    def _plans_by_cell(self, request: Request) -> PlansByCell:
        scale = request.scale
        first = (scale if self.problem == "inr" else scale.classifiers).datasets[0]
        cells = {}
        for dataset in request.datasets:
            methods = self._methods_of(scale)
            if self.other_dataset_methods is not None and dataset != first:
                methods = self.other_dataset_methods
            for method in methods:
                if plans := request.plans(dataset, method, problem=self.problem):
                    cells[method, dataset] = plans
        return cells

    def _plans(self, request: Request) -> list[Plan]:
        return [plan for plans in self._plans_by_cell(request).values() for plan in plans]

    def _analyse(self, workspace: Workspace, request: Request) -> ExperimentResult:
        notes, plans = self.notes(workspace, request), self._plans_by_cell(request)
        finished = {key: runs for key, runs in plans.items() if non_diverged(workspace, runs)}
        tables = [self._table(workspace, request, metric, finished or plans, notes) for metric in self.metrics]
        return ExperimentResult(tables=tuple(tables), runs=run_records(workspace, self._plans(request)))

    def _table(
        self, workspace: Workspace, request: Request, metric: Metric, plans: PlansByCell, notes: Sequence[str]
    ) -> Table:
        methods = self._methods_of(request.scale)
        labels = self.labels or {method: METHODS[method].label for method in self.all_methods}
        rows = {method: label for method, label in labels.items() if method in methods}
        reads = {method: METHODS[method].reads for method in rows}
        cells = {}
        for (method, dataset), runs in plans.items():
            paper = paper_cell(metric.paper, paper_row(method), dataset)
            cells[method, dataset] = cell_from_runs(workspace, runs, paper, metric.name, metric.factor)
        if self.untrained and request.scale.compares_best_models and request.methods is None:
            rows[closed_form.ROW], reads[closed_form.ROW] = closed_form.LABEL, closed_form.READS
            for dataset in request.datasets:
                scores = closed_form.closed_form(workspace, request.scale.classifiers.recipe(dataset))
                cells[closed_form.ROW, dataset] = Cell(values=(metric.factor * scores[metric.name],))
        return Table(
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            rows=rows,
            reads=reads,
            columns={dataset: dataset for dataset in request.datasets},
            cells=cells,
            notes=notes,
            decimals=metric.decimals,
        )
