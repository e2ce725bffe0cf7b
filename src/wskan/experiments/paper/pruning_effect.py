"""Figures 5, 12 and 13: the accuracy of classifiers that are pruned without data (paper, sections 5.3 and C.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from wskan.errors import DataError
from wskan.experiments.engine import closed_form
from wskan.experiments.engine.classifier_zoos import classifier_zoos
from wskan.experiments.engine.cost import time_once
from wskan.experiments.engine.draw import draw_tables
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import classifier_zoo_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import best_choice, run_records
from wskan.experiments.engine.table import Table
from wskan.experiments.engine.workspace import Workspace
from wskan.experiments.paper.classifiers import CLASSIFIER_METHODS, FULL_PRUNING
from wskan.experiments.paper.downstream import (
    SHARES,
    TIMED,
    TRADE_OFF_IMAGES,
    PruningCohort,
    oracle_effect,
    run_effect,
    seconds_per_kan,
)
from wskan.experiments.paper.pruning import table4
from wskan.experiments.paper.pruning_tables import ALL_METHODS, PruningEffects, pruning_tables
from wskan.kan import Population, accuracy
from wskan.provenance import provenance
from wskan.tasks import Run
from wskan.zoo import Zoo, open_zoo
from wskan.zoo.classifiers import Labels
from wskan.zoo.manifest import sha256
from wskan.zoo.targets import load_labels

TIMED_METHODS = ("ws_kan", "scores")  # figure 5c times the first, at scale full the second
TRADE_OFF = {f"{100 * share:g}": float for share in SHARES}  # shape of a cached trade-off
ChosenRuns = Mapping[str, list[tuple[Plan, Run]]]


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return four tables per data set: accuracy and kept edges by label noise, their trade-off, and seconds."""
    zoos = classifier_zoos(workspace, request)
    zoo_notes = classifier_zoo_notes(zoos)
    tables: list[Table] = []
    for dataset, zoo in zoos.items():
        labels = load_labels(zoo.recipe, workspace.data_root)
        chosen = {
            method: best_choice(workspace, plans)
            for method in methods_of(request)
            if (plans := request.plans(dataset, method, problem="pruning"))
        }
        effects = _measure_effects(workspace, request, dataset, zoo, labels, chosen)
        notes = [_method_note(len(effects.noise), len(labels.test_labels)), *zoo_notes]
        tables += pruning_tables(effects, notes, [_seconds_note(workspace, labels, _timed_run(chosen)[0])])
    return ExperimentResult(tables=tuple(tables), runs=run_records(workspace, table4.plans(request)), draw=_draw)


def _measure_effects(
    workspace: Workspace, request: Request, dataset: str, zoo: Zoo, labels: Labels, chosen: ChosenRuns
) -> PruningEffects:
    """Measure the effects of pruning, or read those that are kept in the workspace."""
    recipe, count = zoo.recipe, request.scale.classifiers.shown
    oracle = recipe.classifier
    assert oracle is not None
    rows = zoo.split("test")[:count]
    cohort = PruningCohort(population=zoo.population(rows), labels=labels)
    key = _key(zoo, labels, count)
    shape = {"accuracy": (float,) * len(rows), "kept": (float,) * len(rows), "trade_off": TRADE_OFF}
    by_row = {
        "oracle": [workspace.cached({**key, "who": "oracle"}, partial(oracle_effect, cohort, oracle), shape)],
    }
    for method, runs in chosen.items():
        by_row[method] = []
        for plan, run in runs:
            measure = partial(run_effect, workspace, plan, run, labels, count)
            by_row[method].append(workspace.cached({**key, **_identity(plan, run)}, measure, shape))
    if request.scale.compares_best_models and request.methods is None:
        threshold = closed_form.closed_form(workspace, recipe)["threshold"]
        who = {**key, "who": "closed form", "threshold": threshold}
        by_row[closed_form.ROW] = [workspace.cached(who, partial(_closed_form_effect, cohort, threshold), shape)]
    plan, run = _timed_run(chosen)
    return PruningEffects(
        dataset=dataset,
        num_classes=recipe.spec.widths[-1],
        noise=zoo.columns["noise"][rows],
        accuracy=100 * zoo.columns["accuracy"][rows],
        by_row=by_row,
        random=workspace.cached({**key, "who": "chance"}, partial(_random_trade_off, cohort), TRADE_OFF),
        run_names={method: [plan.name for plan, _ in runs] for method, runs in chosen.items()},
        seconds=seconds_per_kan(cohort, oracle, run, workspace.torch_device, _is_bf16(plan)),
    )


def _closed_form_effect(cohort: PruningCohort, threshold: float) -> dict[str, Any]:
    return cohort.effect(closed_form.scores(cohort.population), threshold)


def _random_trade_off(cohort: PruningCohort) -> dict[str, float]:
    num_edges = cohort.population.spec.num_edges
    guess = torch.rand(len(cohort.population), num_edges, generator=torch.Generator().manual_seed(0))
    return cohort.trade_off(guess)


def _timed_run(chosen: ChosenRuns) -> tuple[Plan, Run]:
    return next(chosen[method] for method in TIMED_METHODS if method in chosen)[0]


def _is_bf16(plan: Plan) -> bool:
    return plan.training.precision == "bf16"


def _method_note(num_kans: int, num_images: int) -> str:
    return (
        f"The first {num_kans} test KANs; accuracies on all {num_images:,} test images, "
        f"those of the trade-off on {min(TRADE_OFF_IMAGES, num_images):,}. "
        "One threshold for all KANs, chosen on validation KANs; the trade-off varies it. "
        "The paper gives numbers only for the seconds."
    )


def _seconds_note(workspace: Workspace, labels: Labels, plan: Plan) -> str:
    threads = torch.get_num_threads()
    cores = f"{threads} core{'s' if threads > 1 else ''} of {provenance()['machine']['processor']}"
    gpu = f", GPU {torch.cuda.get_device_name()}" if workspace.torch_device == "cuda" else ""
    return (
        f"Oracle: this library's, on {len(labels.scored):,} images. WS-KAN in {'bf16' if _is_bf16(plan) else 'fp32'}. "
        f"Oracle and WS-KAN on {cores}{gpu}."
    )


def _draw(tables: Sequence[Table], data: Mapping[str, Any], path: Path) -> None:
    draw_tables(tables, path, across=4)


def methods_of(request: Request) -> tuple[str, ...]:
    """Return the methods of table 4."""
    return FULL_PRUNING if request.scale.compares_best_models else CLASSIFIER_METHODS


def _key(zoo: Zoo, labels: Labels, count: int) -> dict[str, Any]:
    """Return what an effect of pruning depends on, apart from the origin of the masks."""
    return {
        "zoo": [zoo.digest, zoo.checksum],
        "data": labels.note,
        "count": min(count, len(zoo.split("test"))),
        "shares": SHARES,
        "images": TRADE_OFF_IMAGES,
    }


def _identity(plan: Plan, run: Run) -> dict[str, Any]:
    """Return a key of the model of a run, which changes if the run is trained again."""
    return {
        "who": plan.name,
        "model": [sha256(run.folder / "model" / "model.safetensors"), run.record.get("calibration")],
    }


def seconds(workspace: Workspace, request: Request) -> float:
    """Estimate the time of missing effects, from accuracies of a few untrained KANs on random images."""
    total = 0.0
    for dataset in request.datasets:
        recipe, count = request.scale.classifiers.recipe(dataset), request.scale.classifiers.shown
        if missing := _num_missing(workspace, request, dataset):
            kans = Population.init(recipe.spec, range(min(TIMED, count)))
            images, labels = torch.zeros(TRADE_OFF_IMAGES, recipe.spec.widths[0]), torch.zeros(TRADE_OFF_IMAGES).long()
            images[:, ::5] = torch.linspace(0, 1, len(images)).unsqueeze(1)  # mostly zero, like real images
            accuracy(kans[:1], images, labels)  # compiles the kernel
            once = time_once(partial(accuracy, kans, images, labels)) / len(kans)
            total += missing * count * once * (10_000 / TRADE_OFF_IMAGES + len(SHARES))
    return total


def _num_missing(workspace: Workspace, request: Request, dataset: str) -> int:
    """Return the number of effects to measure: those of the oracle, of random edges, and of each method and seed."""
    methods = [plans for method in methods_of(request) if (plans := request.plans(dataset, method, problem="pruning"))]
    number = 2 + len(methods) * len(request.seeds)
    recipe = request.scale.classifiers.recipe(dataset)
    try:
        zoo, labels = open_zoo(workspace.zoo_folder(recipe)), load_labels(recipe, workspace.data_root)
    except DataError:  # not built yet
        return number
    key = _key(zoo, labels, request.scale.classifiers.shown)
    finished = [plan for plans in methods for plan in plans if workspace.is_finished(plan)]
    who = [{"who": "oracle"}, {"who": "chance"}, *(_identity(plan, workspace.open(plan)) for plan in finished)]
    return number - sum(workspace.is_measured({**key, **identity}) for identity in who)


def plans(request: Request) -> list[Plan]:
    """Return the runs of table 4.

    Raises:
        DataError: if the method that figure 5c times is not requested.
    """
    timed_method = TIMED_METHODS[request.scale.compares_best_models]
    if request.methods is not None and timed_method not in request.methods:
        raise DataError(
            f"figure 5 measures the time of {METHODS[timed_method].label}: name {timed_method} among the methods"
        )
    return table4.plans(request)


figure5 = Experiment(
    name="figure5", plans=plans, analyse=analyse, methods=ALL_METHODS, classifiers=True, seconds=seconds
)
