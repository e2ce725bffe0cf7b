"""INR classification: tables 1 and 6 (paper, sections 5.1 and C.4), and table 2 on other shapes (5.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from wskan.experiments.engine.comparison import Metric, comparison, data_notes
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
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace
from wskan.zoo import Recipe

BASELINES = ("mlp", "mlp_aug", "mlp_align", "dmc", "deepsets", "set_transformer", "ws_kan")
ABLATIONS = ("no_pe", "no_bidir", "ws_kan")
FULL = ("mlp", "mlp_aug", "mlp_align", "dmc", "deepsets", "weights", "probes", "probe_gen", "image_cnn")
"""At scale ``full``: WS-KAN that reads weights, WS-KAN that is shown activations, and what outputs alone say."""


def classification(
    name: str,
    title: str,
    methods: Sequence[str],
    paper: str,
    shares: Experiment | None = None,
    full: Sequence[str] | None = None,
) -> Experiment:
    """Test accuracies of methods."""

    def notes(workspace: Workspace, request: Request) -> list[str]:
        said = inr_notes(request)
        if "set_transformer" in methods and request.scale.inducing and request.scale.name != "full":
            said.append(
                f"SetTransformer with {request.scale.inducing} inducing points (Lee et al. 2019); the paper's attends between all edges."
            )
        zoos = {dataset: workspace.zoo(request.scale.recipe(dataset)) for dataset in request.datasets}
        return [*said, *data_notes(zoos)]

    metric = Metric("accuracy", title, "test accuracy, percent", "higher", paper)
    return comparison(name, "inr", methods, [metric], notes, shares=shares, full=full)


table1 = classification(
    "table1", "Table 1: INR classification", BASELINES, "table1_inr_classification_accuracy", full=FULL
)
table6 = classification(
    "table6", "Table 6: INR classification, ablation", ABLATIONS, "table6_ablation_inr_accuracy", shares=table1
)


METHODS_2, FULL_2 = ("ws_kan", "no_pe"), ("weights", "probes")


def shape_methods(request: Request) -> tuple[str, ...]:
    """Those compared: WS-KANs, at scale ``full`` one that reads weights and one that is shown activations."""
    return FULL_2 if request.scale.name == "full" else METHODS_2


def shape_datasets(request: Request) -> list[str]:
    """Those of the request that the paper's table has, or all if it has none of them."""
    return [name for name in request.datasets if name != "cifar10"] or list(request.datasets)


def shape_plans(request: Request) -> list[Plan]:
    """The runs of tables 1 and 6."""
    return [
        p
        for dataset in shape_datasets(request)
        for method in shape_methods(request)
        for p in request.plans(dataset, method)
    ]


def shape_columns(request: Request, dataset: str) -> dict[str, Recipe]:
    """Zoos of other shapes, by the column they fill."""
    own, *rest = request.scale.recipe(dataset).spec.widths[1:-1]
    wider = {f"h={h}": request.scale.reshaped(dataset, (h, *(h for _ in rest))) for h in request.scale.widths}
    return {
        f"h={own}": request.scale.recipe(dataset),
        **wider,
        "deeper": request.scale.reshaped(dataset, (own, *rest, own)),
    }


def shape_recipes(request: Request) -> list[Recipe]:
    """Zoos of other shapes, and the runs' own."""
    return [recipe for dataset in shape_datasets(request) for recipe in shape_columns(request, dataset).values()]


def generalisation(workspace: Workspace, request: Request) -> ExperimentResult:
    """Test accuracy on KANs of other shapes, of the runs chosen on validation KANs of the shape they were trained on."""
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
                cells[row, column] = evaluated(workspace, chosen, zoo, paper, psnr=zoo.info()["psnr_mean"])
    first = request.scale.recipe(shape_datasets(request)[0]).spec.widths
    names = {column: column for column in shape_columns(request, shape_datasets(request)[0])}
    deeper = list(shape_columns(request, shape_datasets(request)[0])["deeper"].spec.widths)
    made = Table(
        title="Table 2: generalisation to wider and deeper KANs",
        unit="test accuracy, percent",
        better="higher",
        rows=labels,
        columns={**names, "deeper": f"deeper {deeper}"},
        cells=cells,
        groups={row: row.split()[1] for row in labels},
        reads={row: METHODS[row.split()[0]].reads for row in labels},
        notes=[
            f"Trained on KANs {list(first)} only. {request.scale.wide_test:,} test KANs of each other shape, of images that the first column has, too; the paper takes all, and has no deeper KANs.",
            "Deeper KANs: a hidden layer takes the learned position of the layer at the same relative depth (wskan.graph.node_positions); no PE needs none.",
            *inr_notes(request),
        ],
    )
    return ExperimentResult(tables=(made,), runs=run_records(workspace, shape_plans(request)))


table2 = Experiment(name="table2", plans=shape_plans, recipes=shape_recipes, find=generalisation)
