"""Beyond the paper: what probes, observed edges, moved images and scores give by themselves, and what they cost."""

from __future__ import annotations

import dataclasses
import functools

from wskan.experiments.engine.comparison import Metric, comparison
from wskan.experiments.engine.cost import seconds_a_graph, timed
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request, measured, run_records
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import classifier_training_notes, inr_notes
from wskan.experiments.engine.plan import Plan
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
    """The first data set, and small models for all: many are compared."""
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


def samples(scale: Scale) -> int | None:
    """Training KANs, if not all."""
    return SAMPLES if scale.counts[0] > SAMPLES else None


def plans_of(request: Request, dataset: str, method: str) -> list[Plan]:
    """Runs of one row."""
    return request.plans(dataset, method, samples(request.scale))


def plans(request: Request) -> list[Plan]:
    """Runs of all rows."""
    return [plan for dataset in request.datasets for method in LABELS for plan in plans_of(request, dataset, method)]


def find(workspace: Workspace, request: Request) -> ExperimentResult:
    """Test accuracies, and milliseconds per graph."""
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
            (method, dataset): measured(workspace, found, None)
            for dataset in request.datasets
            for method in LABELS
            if (found := plans_of(request, dataset, method))
        },
        reads={method: METHODS[method].reads for method in LABELS},
        notes=[f"At most {SAMPLES:,} training KANs.", *inr_notes(request)],
    )


def _times(workspace: Workspace, request: Request) -> Table:
    dataset, cells = request.datasets[0], {}
    zoo = workspace.zoo(request.scale.recipe(dataset))
    kans = zoo.population(zoo.split("train")[:64])
    for method in LABELS:
        if not (found := plans_of(request, dataset, method)):
            continue
        plan = found[0]
        describe = functools.partial(_describe, kans, plan)
        describe()  # warm
        cells[method, "features"] = Cell(values=(min(timed(describe) for _ in range(3)) / len(kans) * 1e3,))
        cells[method, "step"] = Cell(values=(seconds_a_graph(plan, workspace.place) * 1e3,))
    return Table(
        title=f"Ideas: what they cost, {dataset}",
        unit="milliseconds per graph",
        better="lower",
        rows=LABELS,
        columns={"features": "features", "step": "training step"},
        cells=cells,
        over="",
        notes=["Features are made once per KAN, with moved images once per KAN and epoch."],
    )


def _describe(kans: Population, plan: Plan) -> None:
    names = plan.training.augment
    kan_graph(augment(kans, names, 0), plan.features, input_map(kans, plan.features, names, 0))


ideas = Experiment(name="ideas", plans=plans, find=find, methods=tuple(LABELS), times=True, resize=resize)

ideas_pruning = comparison(
    "ideas-pruning",
    "pruning",
    tuple(PRUNING_LABELS),
    [
        Metric("auc", "Ideas: pruning", "test ROC-AUC of the oracle's masks, percent", "higher", "", decimals=2),
        Metric("accuracy", "Ideas: pruning, accuracy", "percent of test edges", "higher", "", decimals=2),
    ],
    lambda workspace, request: classifier_training_notes(request, "pruning"),
    labels=PRUNING_LABELS,
    resize=resize,
)
