"""Beyond the paper: a model trained on KANs of one basis reads those of another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from wskan.experiments.beyond.forms import EXPLAINED, shorter
from wskan.experiments.engine.experiment import (
    Experiment,
    ExperimentResult,
    Request,
    best_choice,
    evaluated,
    run_records,
)
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.kan import Population, fold
from wskan.zoo import Recipe, Zoo

METHOD, FULL_METHOD = "function", "probes"  # which know no parametrisation
KANS = {
    "splines": "B-splines",
    "rbf-small": "FastKAN, small start",
    "rbf-fine": "FastKAN, fine",
    "rbf": "FastKAN, default",
}
"""B-splines, and variants of the zoo of a data set."""
TRAINED = ("splines", "rbf-small", "rbf-fine")  # the other is only read
SHOWN = 50


def resize(scale: Scale) -> Scale:
    """The first data set; epochs of the comparison of forms."""
    scale = shorter(scale)
    return dataclasses.replace(scale, datasets=scale.datasets[:1])


def method(request: Request) -> str:
    """What reads the KANs: WS-KAN on functions, at scale ``full`` on activations."""
    return FULL_METHOD if request.scale.name == "full" else METHOD


def trained_on(request: Request) -> tuple[str, ...]:
    """The KANs that a model is trained on; at scale ``full`` B-splines alone."""
    return TRAINED[:1] if request.scale.name == "full" else TRAINED


def variant(kind: str) -> str:
    """As :meth:`Scale.recipe` calls it."""
    return "" if kind == "splines" else kind


def plans_on(request: Request, dataset: str, kind: str) -> list[Plan]:
    """Runs on one of the zoos of a data set."""
    return [dataclasses.replace(plan, variant=variant(kind)) for plan in request.plans(dataset, method(request))]


def plans(request: Request) -> list[Plan]:
    """Runs on B-splines, and on FastKANs."""
    return [
        plan
        for dataset in request.datasets
        for kind in trained_on(request)
        for plan in plans_on(request, dataset, kind)
    ]


def zoos(request: Request, dataset: str) -> dict[str, Recipe]:
    """What is read: where nothing is trained, test KANs alone."""
    recipes = {kind: request.scale.recipe(dataset, variant(kind)) for kind in KANS}
    trained = trained_on(request)
    few = request.scale.wide_test if request.scale.name == "full" else None  # as many as of another width
    return {
        kind: recipe if kind in trained else dataclasses.replace(recipe, train=0, val=0, test=few or recipe.test)
        for kind, recipe in recipes.items()
    }


def recipes(request: Request) -> list[Recipe]:
    """Of all zoos."""
    return [recipe for dataset in request.datasets for recipe in zoos(request, dataset).values()]


def find(workspace: Workspace, request: Request) -> ExperimentResult:
    """Test accuracy on KANs of each basis, of the runs chosen on validation KANs of the basis they were trained on; a table a data set."""
    tables = []
    for dataset in request.datasets:
        built = {kind: workspace.zoo(recipe, progress=True) for kind, recipe in zoos(request, dataset).items()}
        tables += [_accuracies(workspace, request, dataset, built), _memories(dataset, built)]
    return ExperimentResult(tables=tuple(tables), runs=run_records(workspace, plans(request)))


def _accuracies(workspace: Workspace, request: Request, dataset: str, built: Mapping[str, Zoo]) -> Table:
    cells: dict[tuple[str, str], Cell] = {}
    for trained in trained_on(request):
        chosen = best_choice(workspace, plans_on(request, dataset, trained))
        for read, zoo in built.items():
            cells[trained, read] = evaluated(workspace, chosen, zoo)
    spec = built["splines"].spec
    quality = ", ".join(f"{KANS[kind]} {zoo.info()['psnr_mean']:.1f}" for kind, zoo in built.items())
    return Table(
        title=f"Parametrisations: INR classification, {dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows={kind: f"trained on {KANS[kind]}" for kind in trained_on(request)},
        columns=KANS,
        cells=cells,
        reads={kind: METHODS[method(request)].reads for kind in trained_on(request)},
        notes=[
            f"KANs {list(spec.widths)} of the same images: B-splines with G={spec.grid}, k={spec.degree} and adapted grids; FastKANs, without layer normalisation, of as many radial basis functions on "
            f"[-1, 1], with coefficients that begin at 0.01 (small start) or at its default of 0.1 (fine), or by its own default of 8 on [-2, 2], of which test KANs only. Mean PSNR: {quality} dB.",
            "KANs of another basis come as they are: features are standardised by the statistics of the KANs trained on.",
            *([] if request.scale.name == "full" else [EXPLAINED]),
            *inr_notes(request),
        ],
    )


def _memories(dataset: str, built: Mapping[str, Zoo]) -> Table:
    """How much of what was drawn at random is left in the trained KANs: what a model has to see through."""
    cells = {}
    for kind, zoo in built.items():
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
        columns={str(index): f"layer {index + 1}" for index in range(built["splines"].spec.num_layers)},
        cells=cells,
        over="KANs",
        notes=[f"The first {SHOWN} test KANs; spline weights are folded into the coefficients."],
    )


parametrisations = Experiment(
    name="parametrisations", plans=plans, recipes=recipes, find=find, methods=(METHOD, FULL_METHOD), resize=resize
)
