"""INR classification: tables 1 and 6 (paper, sections 5.1 and C.4), and table 2 on other shapes (5.1.1)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from wskan.experiments.engine.comparison import Comparison, Metric
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.notes import data_notes, inr_notes
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import best_choice, evaluate_on, run_records
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace
from wskan.zoo import Recipe

BASELINES = ("mlp", "mlp_aug", "mlp_align", "dmc", "deep_sets", "set_transformer", "ws_kan")
ABLATIONS = ("no_pe", "no_bidir", "ws_kan")
FULL = ("mlp", "mlp_aug", "mlp_align", "dmc", "deep_sets", "weights", "probes", "probe_gen", "image_cnn")
"""Methods at scale ``full``: WS-KANs that read weights or activations, and models that read only outputs."""


def classification(
    name: str,
    title: str,
    methods: Sequence[str],
    paper: str,
    reuses_runs_of: Experiment | None = None,
    full: Sequence[str] | None = None,
) -> Experiment:
    """Return a comparison of test accuracies."""

    def notes(workspace: Workspace, request: Request) -> list[str]:
        lines, scale = inr_notes(request), request.scale
        if "set_transformer" in methods and scale.inducing and not scale.compares_best_models:
            lines.append(
                f"SetTransformer with {scale.inducing} inducing points (Lee et al. 2019); "
                "the paper's attends between all edges."
            )
        zoos = {dataset: workspace.zoo(scale.recipe(dataset)) for dataset in request.datasets}
        return [*lines, *data_notes(zoos)]

    metric = Metric("accuracy", title, "test accuracy, percent", "higher", paper)
    comparison = Comparison(problem="inr", methods=methods, metrics=[metric], notes=notes, full_methods=full)
    return comparison.experiment(name, reuses_runs_of=reuses_runs_of)


table1 = classification(
    "table1", "Table 1: INR classification", BASELINES, "table1_inr_classification_accuracy", full=FULL
)
table6 = classification(
    "table6", "Table 6: INR classification, ablation", ABLATIONS, "table6_ablation_inr_accuracy", reuses_runs_of=table1
)


METHODS_2, FULL_2 = ("ws_kan", "no_pe"), ("weights", "probes")


def shape_methods(request: Request) -> tuple[str, ...]:
    """Return the WS-KANs to compare; at scale ``full`` one that reads weights and one that reads activations."""
    return FULL_2 if request.scale.compares_best_models else METHODS_2


def shape_datasets(request: Request) -> list[str]:
    """Return the requested data sets of the paper's table, or all if it has none of them."""
    return [name for name in request.datasets if name != "cifar10"] or list(request.datasets)


def shape_plans(request: Request) -> list[Plan]:
    """Return the runs, which are those of tables 1 and 6."""
    choices = itertools.product(shape_datasets(request), shape_methods(request))
    return [plan for dataset, method in choices for plan in request.plans(dataset, method)]


def shape_columns(request: Request, dataset: str) -> dict[str, Recipe]:
    """Return the zoos of all shapes by column."""
    own, *rest = request.scale.recipe(dataset).spec.widths[1:-1]
    wider = {f"h={h}": request.scale.with_shape(dataset, (h, *(h for _ in rest))) for h in request.scale.widths}
    return {
        f"h={own}": request.scale.recipe(dataset),
        **wider,
        "deeper": request.scale.with_shape(dataset, (own, *rest, own)),
    }


def shape_recipes(request: Request) -> list[Recipe]:
    """Return the zoos of all shapes."""
    return [recipe for dataset in shape_datasets(request) for recipe in shape_columns(request, dataset).values()]


def generalisation(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return the test accuracy on KANs of all shapes, of runs chosen on validation KANs of the training shape."""
    cells: dict[tuple[str, str], Cell] = {}
    labels: dict[str, str] = {}
    for dataset in shape_datasets(request):
        zoos = {
            column: workspace.zoo(recipe, progress=True) for column, recipe in shape_columns(request, dataset).items()
        }
        for method in shape_methods(request):
            row = f"{method} {dataset}"
            labels[row] = f"{METHODS[method].label}, {dataset}"
            chosen = best_choice(workspace, request.plans(dataset, method))
            for column, zoo in zoos.items():
                paper = paper_cell("table2_ood_width_accuracy", dataset, column) if method != "no_pe" else None
                cells[row, column] = evaluate_on(zoo, workspace, chosen, paper, psnr=zoo.info()["psnr_mean"])
    first = request.scale.recipe(shape_datasets(request)[0]).spec.widths
    columns = shape_columns(request, shape_datasets(request)[0])
    names = {column: column for column in columns}
    deeper = list(columns["deeper"].spec.widths)
    table = Table(
        title="Table 2: generalisation to wider and deeper KANs",
        unit="test accuracy, percent",
        better="higher",
        rows=labels,
        columns={**names, "deeper": f"deeper {deeper}"},
        cells=cells,
        groups={row: row.split()[1] for row in labels},
        reads={row: METHODS[row.split()[0]].reads for row in labels},
        notes=[
            f"Trained on KANs {list(first)} only. {request.scale.wide_test:,} test KANs of each other shape, "
            "of images of the first column; the paper uses all, and has no deeper KANs.",
            "Deeper KANs: a hidden layer takes the learned position of the layer at the same relative depth "
            "(wskan.graph.node_positions); the model without PE needs none.",
            *inr_notes(request),
        ],
    )
    return ExperimentResult(tables=(table,), runs=run_records(workspace, shape_plans(request)))


table2 = Experiment(name="table2", plans=shape_plans, recipes=shape_recipes, analyse=generalisation)
