"""Beyond the paper: a model trained on KANs of one basis reads those of another."""

from __future__ import annotations

import dataclasses

from wskan.experiments.experiment import Experiment, Findings, Request, best_choice, run_records
from wskan.experiments.forms import EXPLAINED, shorter
from wskan.experiments.plan import Plan
from wskan.experiments.scale import Scale
from wskan.experiments.table import Cell, Table
from wskan.experiments.tables_1_6 import protocol_notes
from wskan.experiments.workspace import Workspace
from wskan.tasks import evaluate
from wskan.zoo import Recipe

METHOD = "function"  # the one form that knows no parametrisation
BASES = {"bspline": "B-splines", "rbf": "FastKAN"}


def resize(scale: Scale) -> Scale:
    """The first data set; epochs of the comparison of forms."""
    scale = shorter(scale)
    return dataclasses.replace(scale, datasets=scale.datasets[:1])


def plans_on(request: Request, dataset: str, basis: str) -> list[Plan]:
    """Runs on the zoo of one basis."""
    return [dataclasses.replace(plan, basis=basis) for plan in request.plans(dataset, METHOD)]


def plans(request: Request) -> list[Plan]:
    """Runs on each."""
    return [plan for dataset in request.datasets for basis in BASES for plan in plans_on(request, dataset, basis)]


def recipes(request: Request) -> list[Recipe]:
    """Zoos of each."""
    return [request.scale.recipe(dataset, basis) for dataset in request.datasets for basis in BASES]


def find(workspace: Workspace, request: Request) -> Findings:
    """Test accuracy on KANs of each basis, of the runs chosen on validation KANs of the basis they were trained on; a table a data set."""
    tables = tuple(_table(workspace, request, dataset) for dataset in request.datasets)
    return Findings(tables=tables, runs=run_records(workspace, plans(request)))


def _table(workspace: Workspace, request: Request, dataset: str) -> Table:
    zoos = {basis: workspace.zoo(request.scale.recipe(dataset, basis), progress=True) for basis in BASES}
    cells: dict[tuple[str, str], Cell] = {}
    for trained in BASES:
        chosen = best_choice(workspace, plans_on(request, dataset, trained))
        facts = {"seeds": [plan.seed for plan, _ in chosen], "runs": [plan.name for plan, _ in chosen]}
        for read, zoo in zoos.items():
            scores = [evaluate(run.model, zoo, p.task, run.features, device=workspace.place) for p, run in chosen]
            values = tuple(score["accuracy"] for score in scores)
            cells[trained, read] = Cell(values=values, facts={**facts, "zoo": zoo.recipe.digest})
    specs = {basis: zoo.recipe.spec for basis, zoo in zoos.items()}
    quality = ", ".join(f"{BASES[basis]} {zoo.info()['psnr_mean']:.1f}" for basis, zoo in zoos.items())
    return Table(
        title=f"Parametrisations: INR classification, {dataset}",
        unit="test accuracy, percent",
        better="higher",
        rows={basis: f"trained on {label}" for basis, label in BASES.items()},
        columns=BASES,
        cells=cells,
        notes=[
            f"KANs {list(specs['bspline'].widths)} of the same images: B-splines with G={specs['bspline'].grid}, k={specs['bspline'].degree} and adapted grids; FastKAN with "
            f"{specs['rbf'].grid + 1} radial basis functions on {list(specs['rbf'].domain)}, its default, without its layer normalisation. Mean PSNR: {quality} dB.",
            "KANs of the other basis come as they are: features are standardised by the statistics of the KANs trained on.",
            EXPLAINED,
            *protocol_notes(request),
        ],
    )


parametrisations = Experiment(
    name="parametrisations", plans=plans, recipes=recipes, find=find, methods=(METHOD,), resize=resize
)
