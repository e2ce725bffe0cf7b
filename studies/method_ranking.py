"""Find out why methods rank differently than in the paper: the same runs with one thing changed.

    python -m studies.method_ranking [cifar10] --work reproduce [--data DIR] [--jobs 2]
    python -m studies.method_ranking accuracy --work reproduce [--data DIR] [--jobs 2] [--report]
    python -m studies.method_ranking positions --work reproduce [--data DIR] [--jobs 2] [--report]
    python -m studies.method_ranking masks --work reproduce [--data DIR] [--jobs 2] [--report]

- ``cifar10``: tables 1 and 6, one seed.
- ``accuracy``: table 3, where DeepSets comes close to WS-KAN on MNIST, and the MLPs are far from the paper's.
- ``positions``: table 7 on K-MNIST by the number of training KANs; positional encoding helps here, not in the paper.
- ``masks``: flattened baselines of table 4 on MNIST (one seed), next to scores that ignore the KAN.

Each writes ``results/studies/method_ranking_GROUP.json``. Zoos, splits and everything else are those of ``wskan
reproduce ... --scale cpu``. Nothing is chosen by these runs. Scores on training KANs in the last epoch, with dropout,
show whether a model fits them. A bootstrap over test KANs shows whether they can separate two methods. For accuracies,
the share of the validation error that a few KANs make shows whether outliers decide. A second call resumes. Entries
measured elsewhere stay in the result file.
"""

import argparse
import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, write
from studies.error_analysis import compared, outliers, prior
from wskan.experiments import get_scale
from wskan.experiments.engine.classifier_scale import Problem
from wskan.experiments.engine.methods import CURRENT_NAMES
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.scale import Scale
from wskan.experiments.engine.workspace import Workspace
from wskan.provenance import provenance
from wskan.tasks import Run, learning_curve

SCALE = get_scale("cpu")


def changed(epochs: int = 40, dropout: float = 0.2) -> Scale:
    return dataclasses.replace(SCALE, dropout=dropout, training=dataclasses.replace(SCALE.training, epochs=epochs))


def plan(method: str, scale: Scale = SCALE, samples: int | None = None) -> Plan:
    method = CURRENT_NAMES.get(method, method)
    return Plan(scale=scale, dataset="cifar10", method=method, lr=SCALE.rates[0], seed=0, train_limit=samples)


def classifier(
    method: str,
    seed: int,
    samples: int | None = None,
    rate: float | None = None,
    dataset: str = "mnist",
    problem: Problem = "accuracy",
    scale: Scale = SCALE,
) -> Plan:
    search = scale.classifiers.search(problem)
    return Plan(
        scale=scale,
        dataset=dataset,
        method=CURRENT_NAMES.get(method, method),
        lr=rate or search.rates[0],
        seed=seed,
        train_limit=samples,
        problem=problem,
        hidden=search.hidden[0],
        num_layers=search.num_layers[0],
    )


def masks(method: str, dropout: float = 0.2, samples: int | None = None) -> Plan:
    return classifier(method, 0, samples, problem="pruning", scale=changed(dropout=dropout))


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
SIZES = (250, 500)  # training KANs; table 7 has all 1,000
POSITIONS = {
    f"{m}, {samples} KANs, seed {seed}": classifier(m, seed, samples, dataset="kmnist")
    for samples in SIZES
    for seed in range(3)
    for m in ("no_pe", "ws_kan")
}
MASKS = {
    **{m: masks(m) for m in ("mlp", "mlp_align", "dmc")},
    **{f"{m}, half of the KANs": masks(m, samples=500) for m in ("mlp_align", "dmc")},
    "mlp_align, no dropout": masks("mlp_align", dropout=0.0),
}
GROUPS = {
    "cifar10": ("method_ranking_cifar10", CIFAR10),
    "accuracy": ("method_ranking_accuracy", ACCURACY),
    "positions": ("method_ranking_positions", POSITIONS),
    "masks": ("method_ranking_masks", MASKS),
}


def described(workspace: Workspace, plan: Plan) -> dict[str, Any]:
    run = workspace.open(plan)
    record, last = run.record, learning_curve(run.folder)[-1]
    return {
        **{f"{split}_{name}": record[split][name] for split in ("val", "test") for name in run.task.metrics()},
        **{f"{name}_last_epoch": last[name] for name in last if name.startswith("train_")},
        **({"worst": outliers(workspace, plan)} if plan.problem == "accuracy" else {}),
        "seconds": record["train_seconds"],
        "run": plan.name,
        "record": record,
    }


def comparisons(workspace: Workspace, group: str) -> dict[str, Any]:
    """Compare the finished runs of a group."""
    if group == "accuracy":
        parts = [compared(workspace, d, partial(classifier, dataset=d)) for d in SCALE.classifiers.datasets]
        return {what: values for part in parts for what, values in part.items()}
    if group == "positions":
        pair = "no_pe less ws_kan, kmnist"
        sizes = {n: compared(workspace, "kmnist", partial(classifier, samples=n, dataset="kmnist")) for n in SIZES}
        return {f"{pair}, {n} KANs": part[pair] for n, part in sizes.items() if pair in part}
    if group == "masks":
        return {"edges by how often training KANs keep them": prior(workspace.zoo_of(MASKS["mlp"]))}
    return {}


def earlier(name: str, origin: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of an earlier result file, each with a record of its own."""
    path = RESULTS / "studies" / f"{name}.json"
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
    shown = comparisons(workspace, arguments.group)
    found |= {what: {**values, "record": origin} for what, values in shown.items()}
    write(f"studies/{name}", earlier(name, origin) | found)


if __name__ == "__main__":
    main()
