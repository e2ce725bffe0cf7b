"""Beyond the paper: test accuracy by the number of training KANs, for two descriptions of them."""

from __future__ import annotations

import dataclasses
import itertools

from wskan.experiments.beyond.forms import EXPLAINED, LABELS, RAW_AND_BEST, shorter
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.notes import inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import cell_from_runs, run_records
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Table
from wskan.experiments.engine.workspace import Workspace

SAMPLES, MORE_EPOCHS = (250, 500, 1_000, 2_000), 4


def resize(scale: Scale) -> Scale:
    """Keep the first data set, with the epochs of the comparison of forms."""
    scale = shorter(scale)
    samples = tuple(n for n in SAMPLES if n < scale.counts[0]) or (scale.counts[0] // 2,)
    return dataclasses.replace(scale, datasets=scale.datasets[:1], samples=samples)


def plans_with(request: Request, dataset: str, method: str, train_limit: int | None) -> list[Plan]:
    """Return the runs with some of the training KANs (None for all).

    They take as many steps as with all KANs, but at most ``MORE_EPOCHS`` times the epochs.
    """
    scale = request.scale
    factor = 1.0 if train_limit is None else scale.counts[0] / train_limit
    epochs = round(scale.training.epochs * min(factor, MORE_EPOCHS))
    scale = dataclasses.replace(scale, training=dataclasses.replace(scale.training, epochs=epochs))
    return dataclasses.replace(request, scale=scale).plans(dataset, method, train_limit)


def plans(request: Request) -> list[Plan]:
    """Return the runs of eq. 5 and of the library's form, with every number of training KANs."""
    choices = itertools.product(request.datasets, RAW_AND_BEST, (*request.scale.samples, None))
    return [plan for choice in choices for plan in plans_with(request, *choice)]


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return test accuracies by the number of training KANs, one table per data set."""
    tables = tuple(_table(workspace, request, dataset) for dataset in request.datasets)
    return ExperimentResult(tables=tables, runs=run_records(workspace, plans(request)))


def _table(workspace: Workspace, request: Request, dataset: str) -> Table:
    limits: dict[str, int | None] = {str(n): n for n in request.scale.samples} | {str(request.scale.counts[0]): None}
    cells = {}
    for (column, limit), method in itertools.product(limits.items(), RAW_AND_BEST):
        if runs := plans_with(request, dataset, method, limit):
            cells[method, column] = cell_from_runs(workspace, runs, None)
    return Table(
        title=f"Data efficiency: INR classification, {dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows={name: LABELS[name] for name in RAW_AND_BEST},
        columns={column: f"{int(column):,} KANs" for column in limits},
        cells=cells,
        notes=[
            f"With fewer KANs, training takes as many steps as with all, but at most {MORE_EPOCHS} times the epochs.",
            EXPLAINED,
            *inr_notes(request),
        ],
        kind="lines",
        log_columns=True,
        axis="number of training KANs",
    )


data_efficiency = Experiment(name="data-efficiency", plans=plans, analyse=analyse, methods=RAW_AND_BEST, resize=resize)
