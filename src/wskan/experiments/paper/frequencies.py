"""Figure 8: frequencies of sine waves from the weights of their KANs, by number of training KANs (paper, C.1.3)."""

from __future__ import annotations

from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.run_scores import cell_from_runs, run_records
from wskan.experiments.engine.table import Table
from wskan.experiments.engine.workspace import Workspace
from wskan.experiments.paper.inr_classification import BASELINES


def plans(request: Request) -> list[Plan]:
    """Return the runs of every method with every number of training KANs."""
    return [p for n in request.scale.samples for method in BASELINES for p in request.plans("sine", method, n)]


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return mean squared errors of the frequencies on the test KANs."""
    scale = request.scale
    cells = {
        (method, str(n)): cell_from_runs(workspace, runs, None)
        for n in scale.samples
        for method in BASELINES
        if (runs := request.plans("sine", method, n))
    }
    waves, recipe = scale.waves, scale.recipe("sine")
    notes = [
        f"KANs {list(recipe.spec.widths)}, G={recipe.spec.grid}; {recipe.val} validation and {recipe.test} test KANs; "
        "frequencies in [0.5, 10] per unit of length. "
        f"{scale.num_layers} layers, hidden dimension {scale.hidden}, batches of {waves.batch_size}, "
        f"{waves.epochs} epochs; the paper: 4, 128, 128, 200. The paper gives the figure without numbers. "
        "MLP + Align. aligns to a mean of all training KANs, however many it learns from.",
    ]
    table = Table(
        title="Figure 8: frequencies of sine waves",
        unit="test mean squared error",
        better="lower",
        rows={method: METHODS[method].label for method in BASELINES},
        columns={str(n): f"{n:,} KANs" for n in scale.samples},
        cells=cells,
        notes=notes,
        kind="lines",
        log=True,
        log_columns=True,
        axis="number of training KANs",
    )
    return ExperimentResult(tables=(table,), runs=run_records(workspace, plans(request)))


figure8 = Experiment(name="figure8", plans=plans, analyse=analyse, methods=BASELINES)
