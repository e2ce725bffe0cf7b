"""Why methods stand in another order than in the paper: the same runs with one thing changed.

    python benchmarks/order.py [cifar10] --work reproduce [--data DIR] [--jobs 2]
    python benchmarks/order.py accuracy --work reproduce [--data DIR] [--jobs 2] [--report]

``cifar10`` is of tables 1 and 6, one seed: ``results/order.json``. ``accuracy`` is of table 3 on MNIST, where DeepSets comes close to WS-KAN and the perceptrons far from the paper's: ``results/order_accuracy.json``. Zoos, splits and everything
else are those of ``wskan reproduce ... --scale cpu``. Nothing is chosen by these runs. What a model scores on its training KANs in the last epoch, with dropout, tells whether it fits them; of accuracies, which share of the squared error on validation
a few KANs make, and how large their coefficients are, tells whether outliers decide, and a bootstrap over test KANs, all of them and by fifths of their largest coefficient,
whether these can tell two methods apart, and where. Run again, it goes on; the result file gathers what was run elsewhere.
"""

import argparse
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor

from common import RESULTS, write
from wskan.experiments import get_scale
from wskan.experiments.methods import RAW
from wskan.experiments.plan import Plan
from wskan.experiments.scale import Scale
from wskan.experiments.workspace import Workspace
from wskan.graph import kan_graph
from wskan.provenance import provenance
from wskan.tasks import GraphDataset, Run, predict_split
from wskan.tasks.run import learning_curve
from wskan.zoo import Zoo

SCALE = get_scale("cpu")
WORST = 5  # KANs of 200
# Whose errors are compared, of tables 3 and 7.
PAIRS = (
    ("ws_kan", "deepsets"),
    ("function", "deepsets"),
    ("function", "ws_kan"),
    ("no_pe", "ws_kan"),
    ("no_bidir", "ws_kan"),
)
FIFTHS = 5


def changed(epochs: int = 40, dropout: float = 0.2) -> Scale:
    return dataclasses.replace(SCALE, dropout=dropout, training=dataclasses.replace(SCALE.training, epochs=epochs))


def plan(method: str, scale: Scale = SCALE, samples: int | None = None) -> Plan:
    return Plan(scale=scale, dataset="cifar10", method=method, rate=SCALE.rates[0], seed=0, samples=samples)


def classifier(
    method: str, seed: int, samples: int | None = None, rate: float | None = None, dataset: str = "mnist"
) -> Plan:
    search = SCALE.classifiers.accuracy
    return Plan(scale=SCALE, dataset=dataset, method=method, rate=rate or search.rates[0], seed=seed, samples=samples, problem="accuracy", hidden=search.hidden[0], num_layers=search.num_layers[0])  # fmt: skip


CIFAR10 = {
    **{f"{m}, 120 epochs": plan(m, changed(120)) for m in ("no_pe", "ws_kan")},
    **{f"{m}, no dropout": plan(m, changed(dropout=0.0)) for m in ("dmc", "deepsets", "mlp_align")},
    "mlp_align, 120 epochs": plan("mlp_align", changed(120)),
    "mlp_align, 120 epochs, no dropout": plan("mlp_align", changed(120, 0.0)),
    **{f"{m}, half of the KANs": plan(m, samples=1_750) for m in ("dmc", "deepsets", "mlp_align")},
}
ACCURACY = {
    **{f"{m}, seed {seed}": classifier(m, seed) for seed in range(3) for m in ("ws_kan", "function", "deepsets")},
    **{
        f"{m}, half of the KANs, seed {seed}": classifier(m, seed, 500)
        for seed in range(3)
        for m in ("ws_kan", "deepsets")
    },
    **{f"{m}, seed 0": classifier(m, 0) for m in ("mlp", "dmc")},
    **{
        f"{m}, rate {rate:g}, seed 0": classifier(m, 0, rate=rate)
        for m in ("mlp", "mlp_aug", "mlp_align")
        for rate in (5e-4, 1e-4)
    },
}
GROUPS = {"cifar10": ("order", CIFAR10), "accuracy": ("order_accuracy", ACCURACY)}


def largest_features(zoo: Zoo, split: str) -> dict[str, Any]:
    """The largest |number| of eq. 5 in each KAN of a split, and in each of its layers the median one of an edge."""
    graph = kan_graph(zoo.population(zoo.split(split)), RAW)
    largest = torch.stack([edges.abs().amax((1, 2, 3)) for edges in graph.edges]).amax(0)
    medians = [float(edges.abs().median()) for edges in graph.edges]
    return {"largest": largest.tolist(), "median_a_layer": medians}


def predictions(workspace: Workspace, plan: Plan, split: str) -> tuple[Tensor, Tensor]:
    """Predicted accuracies of a finished run and true ones, ``[n]``."""
    run = workspace.open(plan)
    dataset = GraphDataset(workspace.zoo_of(plan), split, run.task, run.features)
    output, target = predict_split(run.model, dataset)
    return run.task.decode(output).flatten(), target.flatten()


def squared_errors(workspace: Workspace, dataset: str, method: str) -> list[Tensor]:
    """Of each test KAN, ``[n]``, for each seed that is finished."""
    plans = [classifier(method, seed, dataset=dataset) for seed in range(3)]
    pairs = [predictions(workspace, plan, "test") for plan in plans if workspace.is_finished(plan)]
    return [(predicted - accuracy).square() for predicted, accuracy in pairs]


def difference(first: list[Tensor], second: list[Tensor], size: Tensor) -> dict[str, Any]:
    """Mean squared error of one method less that of another, mean over seeds: of all test KANs, and of five equal groups of them by the size of their largest number, ``[n]``, smallest first."""
    gap = torch.stack(first).mean(0) - torch.stack(second).mean(0)
    fifths = [interval_of(gap[rows]) for rows in size.argsort().chunk(FIFTHS)]
    return {**interval_of(gap), "fifths_by_largest_number": fifths, "seeds": [len(first), len(second)]}


def interval_of(gap: Tensor) -> dict[str, float]:
    """The mean, and the interval that holds 95 % of it when KANs are drawn again (paired bootstrap)."""
    interval = bootstrap((gap.numpy(),), np.mean, method="percentile", rng=0).confidence_interval
    return {"mse": float(gap.mean()), "low": float(interval.low), "high": float(interval.high)}


def outliers(workspace: Workspace, plan: Plan) -> dict[str, Any]:
    """Which validation KANs make the squared error."""
    predicted, accuracy = predictions(workspace, plan, "val")
    error = (predicted - accuracy).square()
    order = error.argsort(descending=True)[:WORST]
    return {
        "share_of_error": float(error[order].sum() / error.sum()),
        "kans": order.tolist(),
        "predicted": predicted[order].tolist(),
        "accuracy": accuracy[order].tolist(),
    }


def described(workspace: Workspace, plan: Plan) -> dict[str, Any]:
    run = workspace.open(plan)
    record, metric = run.record, run.task.monitor
    fitted = [row[f"train_{metric}"] for row in learning_curve(run.folder) if f"train_{metric}" in row]
    return {
        **{f"{split}_{name}": record[split][name] for split in ("val", "test") for name in run.task.metrics()},
        f"train_{metric}_last_epoch": fitted[-1],
        **({"worst": outliers(workspace, plan)} if plan.problem == "accuracy" else {}),
        "seconds": record["train_seconds"],
        "run": plan.name,
        "record": record,
    }


def compared(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What the finished runs of each data set of tables 3 and 7 show together."""
    found: dict[str, dict[str, Any]] = {}
    for dataset in SCALE.classifiers.datasets:
        errors = {m: squared_errors(workspace, dataset, m) for m in set(itertools.chain(*PAIRS))}
        if not errors["ws_kan"]:
            continue
        zoo = workspace.zoo_of(classifier("ws_kan", 0, dataset=dataset))
        numbers = {split: largest_features(zoo, split) for split in ("val", "test")}
        found[f"validation KANs, {dataset}"], size = numbers["val"], torch.tensor(numbers["test"]["largest"])
        found[f"test KANs, {dataset}"] = {
            "largest_number_by_fifth": [float(part.max()) for part in size.sort().values.chunk(FIFTHS)],
            "mse_by_fifth": {
                m: [float(torch.stack(e).mean(0)[rows].mean()) for rows in size.argsort().chunk(FIFTHS)]
                for m, e in errors.items()
                if e
            },
        }
        for first, second in PAIRS:
            if errors[first] and errors[second]:
                found[f"{first} less {second}, {dataset}"] = difference(errors[first], errors[second], size)
    return found


def gathered(name: str, origin: dict[str, Any]) -> dict[str, Any]:
    """What runs elsewhere have shown, each with a record of its own."""
    path = RESULTS / f"{name}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {key: value for key, value in kept.items() if key not in origin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", nargs="?", choices=GROUPS, default="cifar10")
    parser.add_argument("--work", type=Path, default=Path("reproduce"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="train nothing, describe the runs that are there")
    arguments = parser.parse_args()
    workspace = Workspace(folder=arguments.work, data_root=arguments.data, jobs=arguments.jobs)

    def report(plan: Plan, run: Run | None) -> None:
        print(plan, run.record["val"] if run else "diverged", flush=True)

    name, plans = GROUPS[arguments.group]
    if not arguments.report:
        workspace.train_all(list(plans.values()), report)
    found = {what: described(workspace, plan) for what, plan in plans.items() if workspace.is_finished(plan)}
    origin = provenance()
    if arguments.group == "accuracy":
        found |= {what: {**shown, "record": origin} for what, shown in compared(workspace).items()}
    write(name, gathered(name, origin) | found)


if __name__ == "__main__":
    main()
