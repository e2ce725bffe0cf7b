"""Methods side by side on data sets: tables 1, 3, 4 and 6 to 10."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from wskan.experiments.engine import closed_form
from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request, measured, run_records, survivors
from wskan.experiments.engine.methods import METHODS, paper_row
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace
from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True)
class Metric:
    """A table of its own: what it shows of each run, and where in the paper it stands."""

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    paper: str
    factor: float = 1.0
    decimals: int = 1


def comparison(
    name: str,
    problem: Problem,
    methods: Sequence[str],
    metrics: Sequence[Metric],
    notes: Callable[[Workspace, Request], Sequence[str]],
    *,
    labels: Mapping[str, str] | None = None,
    elsewhere: Sequence[str] | None = None,
    full: Sequence[str] | None = None,
    untrained: bool = False,
    resize: Callable[[Scale], Scale] = lambda scale: scale,
    shares: Experiment | None = None,
) -> Experiment:
    """An experiment whose rows are methods and whose columns are data sets, with a table for each metric, all under the same notes.

    Args:
        name, resize, shares: see :class:`Experiment`.
        problem: what is learned.
        methods: in :data:`wskan.experiments.METHODS`.
        metrics: a table each.
        notes: what a reader has to know.
        labels: of rows, if not those of the methods.
        elsewhere: methods on other data sets than the first of the scale, if not all.
        full: methods at scale ``full``, if others.
        untrained: whether scale ``full`` also has the scores in closed form.
    """
    every = tuple(dict.fromkeys([*methods, *(full or ())]))
    labels = labels or {method: METHODS[method].label for method in every}

    def methods_of(scale: Scale) -> Sequence[str]:
        return full if full is not None and scale.name == "full" else methods

    def cells_of(request: Request) -> dict[tuple[str, str], list[Plan]]:
        first = (request.scale if problem == "inr" else request.scale.classifiers).datasets[0]
        return {
            (method, dataset): found
            for dataset in request.datasets
            for method in (methods_of(request.scale) if elsewhere is None or dataset == first else elsewhere)
            if (found := request.plans(dataset, method, problem=problem))
        }

    def plans(request: Request) -> list[Plan]:
        return [plan for found in cells_of(request).values() for plan in found]

    def find(workspace: Workspace, request: Request) -> ExperimentResult:
        said, cells = notes(workspace, request), cells_of(request)
        learned = {at: runs for at, runs in cells.items() if survivors(workspace, runs)}

        def table(metric: Metric) -> Table:
            figures = {
                (method, dataset): measured(
                    workspace, runs, paper_cell(metric.paper, paper_row(method), dataset), metric.name, metric.factor
                )
                for (method, dataset), runs in (learned or cells).items()
            }
            rows = {method: label for method, label in labels.items() if method in methods_of(request.scale)}
            reads = {method: METHODS[method].reads for method in rows}
            if untrained and request.scale.name == "full" and request.methods is None:
                rows[closed_form.ROW], reads[closed_form.ROW] = closed_form.LABEL, closed_form.READS
                for dataset in request.datasets:
                    found = closed_form.closed_form(workspace, request.scale.classifiers.recipe(dataset))
                    figures[closed_form.ROW, dataset] = Cell(values=(metric.factor * found[metric.name],))
            return Table(
                title=metric.title,
                unit=metric.unit,
                better=metric.better,
                rows=rows,
                reads=reads,
                columns={dataset: dataset for dataset in request.datasets},
                cells=figures,
                notes=said,
                decimals=metric.decimals,
            )

        return ExperimentResult(tables=tuple(map(table, metrics)), runs=run_records(workspace, plans(request)))

    return Experiment(
        name=name,
        plans=plans,
        find=find,
        methods=every,
        classifiers=problem != "inr",
        resize=resize,
        shares=shares,
    )


def data_notes(zoos: Mapping[str, Zoo]) -> list[str]:
    """What is unusual about the data of zoos, as their manifests say."""
    notes = []
    for dataset, zoo in zoos.items():
        built = zoo.manifest.built_with
        notes += [f"{dataset}: {built['data']}"] if built.get("data") else []
        foreign = built.get("data_not_as_published")
        notes += [f"{dataset}: {foreign} are not the files as published"] if foreign else []
    return notes
