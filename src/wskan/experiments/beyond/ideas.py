"""Beyond the paper: probes, observed edges, moved images and scores, each by itself, and their cost."""

from __future__ import annotations

import dataclasses
import functools

from wskan.experiments.engine.comparison import Comparison, Metric
from wskan.experiments.engine.cost import seconds_per_graph, time_once
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import classifier_training_notes, inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import cell_from_runs, run_records
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.graph import kan_graph
from wskan.kan import Population
from wskan.tasks.augmentation import augment, input_map

SAMPLES, EPOCHS, PRUNING_EPOCHS = 3_500, 16, 8
COUNTS = (16, 64, 196)
LABELS = {
    "function": "functions",
    "weights": "functions, images moved",
    **{f"function_{count}": f"functions, {count} probes" for count in COUNTS},
    **{f"observed_{count}": f"observed, {count} probes" for count in COUNTS},
    "observed_moved": "observed, 196 probes, images moved",
    "probes": "observed, 196 probes, images moved, inner dropout",
    "learned_64": "observed, 64 learned probes",
}
PRUNING_LABELS = {
    "weights": "masks",
    "masks_attribution": "masks, closed form as a feature",
    "scores_plain": "scores",
    "scores": "scores, closed form as a feature",
}


def resize(scale: Scale) -> Scale:
    """Keep the first data set and use small models for all, since many are compared."""
    scored = dataclasses.replace(scale.classifiers, scores=True)
    scale = dataclasses.replace(scale, classifiers=scored, tuned={})
    if scale.name == "smoke":
        return scale
    training = dataclasses.replace(scale.training, epochs=EPOCHS)
    search = dataclasses.replace(
        scale.classifiers.pruning,
        training=dataclasses.replace(scale.classifiers.pruning.training, epochs=PRUNING_EPOCHS),
    )
    classifiers = dataclasses.replace(scale.classifiers, datasets=scale.classifiers.datasets[:1], pruning=search)
    return dataclasses.replace(
        scale, datasets=scale.datasets[:1], hidden=32, training=training, classifiers=classifiers
    )


def train_limit(scale: Scale) -> int | None:
    """Return the number of training KANs, or None for all."""
    return SAMPLES if scale.counts[0] > SAMPLES else None


def plans_of(request: Request, dataset: str, method: str) -> list[Plan]:
    """Return the runs of one row."""
    return request.plans(dataset, method, train_limit(request.scale))


def plans(request: Request) -> list[Plan]:
    """Return the runs of all rows."""
    return [plan for dataset in request.datasets for method in LABELS for plan in plans_of(request, dataset, method)]


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return test accuracies, and milliseconds per graph."""
    runs = run_records(workspace, plans(request))
    return ExperimentResult(tables=(_accuracies(workspace, request), _times(workspace, request)), runs=runs)


def _accuracies(workspace: Workspace, request: Request) -> Table:
    return Table(
        title="Ideas: INR classification",
        unit="test accuracy, percent",
        better="higher",
        rows=LABELS,
        columns={dataset: dataset for dataset in request.datasets},
        cells={
            (method, dataset): cell_from_runs(workspace, runs, None)
            for dataset in request.datasets
            for method in LABELS
            if (runs := plans_of(request, dataset, method))
        },
        reads={method: METHODS[method].reads for method in LABELS},
        notes=[f"At most {SAMPLES:,} training KANs.", *inr_notes(request)],
    )


def _times(workspace: Workspace, request: Request) -> Table:
    dataset, cells = request.datasets[0], {}
    zoo = workspace.zoo(request.scale.recipe(dataset))
    kans = zoo.population(zoo.split("train")[:64])
    for method in LABELS:
        if not (runs := plans_of(request, dataset, method)):
            continue
        plan = runs[0]
        describe = functools.partial(_describe, kans, plan)
        describe()  # warms up
        cells[method, "features"] = Cell(values=(min(time_once(describe) for _ in range(3)) / len(kans) * 1e3,))
        cells[method, "step"] = Cell(values=(seconds_per_graph(plan, workspace.torch_device) * 1e3,))
    return Table(
        title=f"Ideas: what they cost, {dataset}",
        unit="milliseconds per graph",
        better="lower",
        rows=LABELS,
        columns={"features": "features", "step": "training step"},
        cells=cells,
        over="",
        notes=["Features are computed once per KAN, with moved images once per KAN and epoch."],
    )


def _describe(kans: Population, plan: Plan) -> None:
    names = plan.training.augment
    kan_graph(augment(kans, names, 0), plan.features, input_map(kans, plan.features, names, 0))


ideas = Experiment(name="ideas", plans=plans, analyse=analyse, methods=tuple(LABELS), times=True, resize=resize)

ideas_pruning = Comparison(
    problem="pruning",
    methods=tuple(PRUNING_LABELS),
    metrics=[
        Metric("auc", "Ideas: pruning", "test ROC-AUC of the oracle's masks, percent", "higher", "", decimals=2),
        Metric("accuracy", "Ideas: pruning, accuracy", "percent of test edges", "higher", "", decimals=2),
    ],
    notes=lambda workspace, request: classifier_training_notes(request, "pruning"),
    labels=PRUNING_LABELS,
).experiment("ideas-pruning", resize=resize)
