"""Beyond the paper: how many KANs a description of them needs."""

from __future__ import annotations

import dataclasses

from wskan.experiments.beyond.forms import EXPLAINED, LABELS, RAW_AND_BEST, shorter
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request, measured, run_records
from wskan.experiments.engine.notes import inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Table
from wskan.experiments.engine.workspace import Workspace

SAMPLES, MORE_EPOCHS = (250, 500, 1_000, 2_000), 4


def resize(scale: Scale) -> Scale:
    """The first data set; epochs of the comparison of forms."""
    scale = shorter(scale)
    samples = tuple(n for n in SAMPLES if n < scale.counts[0]) or (scale.counts[0] // 2,)
    return dataclasses.replace(scale, datasets=scale.datasets[:1], samples=samples)


def plans_with(request: Request, dataset: str, method: str, samples: int | None) -> list[Plan]:
    """Runs with some of the training KANs (None: all): as many steps as with all, but no more than four times the epochs."""
    scale = request.scale
    share = 1.0 if samples is None else scale.counts[0] / samples
    epochs = round(scale.training.epochs * min(share, MORE_EPOCHS))
    scale = dataclasses.replace(scale, training=dataclasses.replace(scale.training, epochs=epochs))
    return dataclasses.replace(request, scale=scale).plans(dataset, method, samples)


def plans(request: Request) -> list[Plan]:
    """Eq. 5 and the library's form, with every number of training KANs."""
    numbers = (*request.scale.samples, None)
    return [p for d in request.datasets for m in RAW_AND_BEST for n in numbers for p in plans_with(request, d, m, n)]


def find(workspace: Workspace, request: Request) -> ExperimentResult:
    """Test accuracy against the number of training KANs, a table a data set."""
    tables = tuple(_table(workspace, request, dataset) for dataset in request.datasets)
    return ExperimentResult(tables=tables, runs=run_records(workspace, plans(request)))


def _table(workspace: Workspace, request: Request, dataset: str) -> Table:
    counts: dict[str, int | None] = {str(n): n for n in request.scale.samples} | {str(request.scale.counts[0]): None}
    return Table(
        title=f"Data efficiency: INR classification, {dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows={name: LABELS[name] for name in RAW_AND_BEST},
        columns={count: f"{int(count):,} KANs" for count in counts},
        cells={
            (method, count): measured(workspace, runs, None)
            for count, n in counts.items()
            for method in RAW_AND_BEST
            if (runs := plans_with(request, dataset, method, n))
        },
        notes=[
            f"With fewer KANs as many steps as with all, but no more than {MORE_EPOCHS} times the epochs.",
            EXPLAINED,
            *inr_notes(request),
        ],
        kind="lines",
        log_columns=True,
        axis="number of training KANs",
    )


data_efficiency = Experiment(name="data-efficiency", plans=plans, find=find, methods=RAW_AND_BEST, resize=resize)
