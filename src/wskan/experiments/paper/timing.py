"""Table 11: seconds per epoch of training and of testing WS-KAN (paper, C.5)."""

from __future__ import annotations

import dataclasses
import time

import torch
import torch.nn.functional as F

from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import get_scale
from wskan.experiments.engine.table import Cell, Table, paper_cell
from wskan.experiments.engine.workspace import Workspace
from wskan.models import build_model
from wskan.runtime import random_state
from wskan.tasks import GraphDataset, graph_loader
from wskan.zoo import Zoo

PAPER_GRAPHS = 10_000  # per epoch of training and of testing


def plans(request: Request) -> list[Plan]:
    """Return an empty list: no model is trained to the end."""
    return []


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return the seconds of the paper's WS-KAN (hidden 128, 4 layers, batches of 128) at any scale but ``smoke``.

    Times of fewer graphs are scaled to the paper's number.
    """
    train, test, epochs = request.scale.timing
    cells, paper = {}, get_scale("paper")
    scale = dataclasses.replace(paper, seeds=(0,)) if request.scale.name != "smoke" else request.scale
    precision = request.scale.training.precision
    for dataset in request.datasets:
        zoo = workspace.zoo(request.scale.recipe(dataset), progress=True)
        plan = Plan(scale=scale, dataset=dataset, method="ws_kan", lr=1e-3, seed=0)
        for row, values in _time(workspace, plan, zoo, train, test, epochs, precision).items():
            cells[row, dataset] = Cell(values=values, paper=paper_cell("table11_seconds_per_epoch_inr", row, dataset))
    device = torch.cuda.get_device_name() if workspace.torch_device == "cuda" else f"{torch.get_num_threads()} cores"
    table = Table(
        title="Table 11: seconds per epoch",
        unit="seconds",
        better="lower",
        rows={"train": "training", "test": "testing"},
        columns={dataset: dataset for dataset in request.datasets},
        cells=cells,
        groups={"train": "train", "test": "test"},
        over="epochs",
        notes=[
            f"Hidden dimension {scale.hidden}, {scale.num_layers} layers, batches of {scale.training.batch_size}, "
            f"{'bf16' if precision == 'bf16' else 'fp32'}, on {device}; {epochs} epochs of {train:,} training and "
            f"{test:,} test KANs, scaled to {PAPER_GRAPHS:,} of each. The paper does not name its hardware.",
        ],
    )
    return ExperimentResult(tables=(table,))


def _time(
    workspace: Workspace, plan: Plan, zoo: Zoo, train: int, test: int, epochs: int, precision: str
) -> dict[str, tuple[float, ...]]:
    device = workspace.torch_device
    with random_state(0):
        model = build_model(dataclasses.replace(plan.model, edge_dim=plan.features.edge_dim(zoo.spec))).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    sets = {
        name: GraphDataset(zoo, name, plan.task, plan.features, device=device, limit=limit)
        for name, limit in (("train", train), ("test", test))
    }
    size = plan.training.batch_size
    loaders = {"train": graph_loader(sets["train"], size, shuffle_seed=0), "test": graph_loader(sets["test"], size)}

    def epoch(name: str) -> float:
        model.train(name == "train")
        begin, count = time.perf_counter(), 0
        for graph, target in loaders[name]:
            with (
                torch.set_grad_enabled(name == "train"),
                torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"),
            ):
                output = model(graph)
            if name == "train":
                optimizer.zero_grad()
                F.cross_entropy(output.float(), target).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            count += len(target)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) * PAPER_GRAPHS / count

    for name in loaders:
        epoch(name)  # warms up
    return {name: tuple(epoch(name) for _ in range(epochs)) for name in loaders}


table11 = Experiment(
    name="table11",
    plans=plans,
    recipes=lambda request: [request.scale.recipe(dataset) for dataset in request.datasets],
    analyse=analyse,
    times=True,
)
