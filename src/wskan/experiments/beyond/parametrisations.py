"""Beyond the paper: test accuracy on KANs of another basis than the one trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from wskan.experiments.beyond.forms import EXPLAINED, shorter
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import best_choice, evaluate_on, run_records
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.kan import Population, fold
from wskan.zoo import Recipe, Zoo

METHOD, FULL_METHOD = "function", "probes"  # independent of the parametrisation
KANS = {
    "splines": "B-splines",
    "rbf-small": "FastKAN, small start",
    "rbf-fine": "FastKAN, fine",
    "rbf": "FastKAN, default",
}
"""Labels of B-splines, and of the variants of the zoo of a data set."""
TRAINED = ("splines", "rbf-small", "rbf-fine")  # the other is only for tests
SHOWN = 50  # test KANs


def resize(scale: Scale) -> Scale:
    """Keep the first data set, with the epochs of the comparison of forms."""
    scale = shorter(scale)
    return dataclasses.replace(scale, datasets=scale.datasets[:1])


def method(request: Request) -> str:
    """Return the method: WS-KAN on functions, at scale ``full`` on activations."""
    return FULL_METHOD if request.scale.compares_best_models else METHOD


def trained_on(request: Request) -> tuple[str, ...]:
    """Return the kinds of KANs to train on; at scale ``full`` B-splines alone."""
    return TRAINED[:1] if request.scale.compares_best_models else TRAINED


def variant(kind: str) -> str:
    """Return the variant of a kind of KANs, for :meth:`Scale.recipe`."""
    return "" if kind == "splines" else kind


def plans_on(request: Request, dataset: str, kind: str) -> list[Plan]:
    """Return the runs on one of the zoos of a data set."""
    return [dataclasses.replace(plan, variant=variant(kind)) for plan in request.plans(dataset, method(request))]


def plans(request: Request) -> list[Plan]:
    """Return the runs on B-splines and FastKANs."""
    return [
        plan
        for dataset in request.datasets
        for kind in trained_on(request)
        for plan in plans_on(request, dataset, kind)
    ]


def recipes_of(request: Request, dataset: str) -> dict[str, Recipe]:
    """Return the recipes of a data set by kind, with test KANs alone for kinds that are not trained on."""
    recipes = {kind: request.scale.recipe(dataset, variant(kind)) for kind in KANS}
    trained = trained_on(request)
    few = request.scale.wide_test if request.scale.compares_best_models else None  # as in table 2
    return {
        kind: recipe if kind in trained else dataclasses.replace(recipe, train=0, val=0, test=few or recipe.test)
        for kind, recipe in recipes.items()
    }


def recipes(request: Request) -> list[Recipe]:
    """Return the recipes of all zoos."""
    return [recipe for dataset in request.datasets for recipe in recipes_of(request, dataset).values()]


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return the test accuracy on KANs of each basis, one table per data set.

    Runs are chosen on validation KANs of the basis that they were trained on. A second table compares trained
    coefficients with initial ones.
    """
    tables = []
    for dataset in request.datasets:
        zoos = {kind: workspace.zoo(recipe, progress=True) for kind, recipe in recipes_of(request, dataset).items()}
        tables += [_accuracies(workspace, request, dataset, zoos), _cosines(dataset, zoos)]
    return ExperimentResult(tables=tuple(tables), runs=run_records(workspace, plans(request)))


def _accuracies(workspace: Workspace, request: Request, dataset: str, zoos: Mapping[str, Zoo]) -> Table:
    cells: dict[tuple[str, str], Cell] = {}
    for trained in trained_on(request):
        chosen = best_choice(workspace, plans_on(request, dataset, trained))
        for kind, zoo in zoos.items():
            cells[trained, kind] = evaluate_on(zoo, workspace, chosen)
    spec = zoos["splines"].spec
    quality = ", ".join(f"{KANS[kind]} {zoo.info()['psnr_mean']:.1f}" for kind, zoo in zoos.items())
    return Table(
        title=f"Parametrisations: INR classification, {dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows={kind: f"trained on {KANS[kind]}" for kind in trained_on(request)},
        columns=KANS,
        cells=cells,
        reads={kind: METHODS[method(request)].reads for kind in trained_on(request)},
        notes=[
            f"KANs {list(spec.widths)} of the same images. B-splines have G={spec.grid}, k={spec.degree} and adapted "
            "grids. FastKANs, without layer normalisation, have as many radial basis functions on [-1, 1], "
            "with initial coefficients of size 0.01 (small start) or FastKAN's default of 0.1 (fine). "
            f"With FastKAN's default of 8 functions on [-2, 2], there are test KANs only. Mean PSNR: {quality} dB.",
            "Features of KANs of another basis are standardised by the statistics of the training KANs.",
            *([] if request.scale.compares_best_models else [EXPLAINED]),
            *inr_notes(request),
        ],
    )


def _cosines(dataset: str, zoos: Mapping[str, Zoo]) -> Table:
    """Compare trained coefficients with the random initial ones, which say nothing about the image."""
    cells = {}
    for kind, zoo in zoos.items():
        rows = zoo.split("test")[:SHOWN]
        fresh = Population.init(zoo.spec, zoo.columns["seed"][rows], noise_scale=zoo.recipe.fit.noise_scale)
        pairs = zip(fold(zoo.population(rows)).layers, fold(fresh).layers, strict=True)
        for index, (after, before) in enumerate(pairs):
            cosines = torch.cosine_similarity(after.coef.flatten(1), before.coef.flatten(1))
            cells[kind, str(index)] = Cell(values=tuple(cosines.tolist()), facts={"zoo": zoo.digest})
    return Table(
        title=f"Parametrisations: trained against initial coefficients, {dataset}",
        unit="cosine",
        better="neither",
        rows=KANS,
        columns={str(index): f"layer {index + 1}" for index in range(zoos["splines"].spec.num_layers)},
        cells=cells,
        over="KANs",
        notes=[f"The first {SHOWN} test KANs; spline weights are folded into the coefficients."],
    )


parametrisations = Experiment(
    name="parametrisations",
    plans=plans,
    recipes=recipes,
    analyse=analyse,
    methods=(METHOD, FULL_METHOD),
    resize=resize,
)
