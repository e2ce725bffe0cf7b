"""Table 2: WS-KANs on wider KANs than they were trained on (paper, section 5.1.1), and beyond the paper on deeper ones."""

from __future__ import annotations

from wskan.experiments.experiment import Experiment, Findings, Request, best_choice, evaluated, run_records
from wskan.experiments.methods import METHODS
from wskan.experiments.plan import Plan
from wskan.experiments.table import Cell, Table, paper_cell
from wskan.experiments.tables_1_6 import protocol_notes
from wskan.experiments.workspace import Workspace
from wskan.zoo import Recipe

METHODS_2, FULL_2 = ("ws_kan", "no_pe"), ("weights", "probes")


def methods(request: Request) -> tuple[str, ...]:
    """Those compared: WS-KANs, at scale ``full`` one that reads weights and one that is shown activations."""
    return FULL_2 if request.scale.name == "full" else METHODS_2


def datasets(request: Request) -> list[str]:
    """Those of the request that the paper's table has, or all if it has none of them."""
    return [name for name in request.datasets if name != "cifar10"] or list(request.datasets)


def plans(request: Request) -> list[Plan]:
    """The runs of tables 1 and 6."""
    return [p for dataset in datasets(request) for method in methods(request) for p in request.plans(dataset, method)]


def columns(request: Request, dataset: str) -> dict[str, Recipe]:
    """Zoos of other shapes, by the column they fill."""
    own, *rest = request.scale.recipe(dataset).spec.widths[1:-1]
    wider = {f"h={h}": request.scale.reshaped(dataset, (h, *(h for _ in rest))) for h in request.scale.widths}
    return {
        f"h={own}": request.scale.recipe(dataset),
        **wider,
        "deeper": request.scale.reshaped(dataset, (own, *rest, own)),
    }


def recipes(request: Request) -> list[Recipe]:
    """Zoos of other shapes, and the runs' own."""
    return [recipe for dataset in datasets(request) for recipe in columns(request, dataset).values()]


def find(workspace: Workspace, request: Request) -> Findings:
    """Test accuracy on KANs of other shapes, of the runs chosen on validation KANs of the shape they were trained on."""
    cells: dict[tuple[str, str], Cell] = {}
    labels: dict[str, str] = {}
    for dataset in datasets(request):
        zoos = {column: workspace.zoo(recipe, progress=True) for column, recipe in columns(request, dataset).items()}
        for method in methods(request):
            row = f"{method} {dataset}"
            labels[row] = f"{METHODS[method].label}, {dataset}"
            chosen = best_choice(workspace, request.plans(dataset, method))
            for column, zoo in zoos.items():
                paper = paper_cell("table2_ood_width_accuracy", dataset, column) if method != "no_pe" else None
                cells[row, column] = evaluated(workspace, chosen, zoo, paper, psnr=zoo.info()["psnr_mean"])
    first = request.scale.recipe(datasets(request)[0]).spec.widths
    names = {column: column for column in columns(request, datasets(request)[0])}
    deeper = list(columns(request, datasets(request)[0])["deeper"].spec.widths)
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
            *protocol_notes(request),
        ],
    )
    return Findings(tables=(made,), runs=run_records(workspace, plans(request)))


table2 = Experiment(name="table2", plans=plans, recipes=recipes, find=find)
