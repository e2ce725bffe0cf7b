"""Why methods stand in another order on CIFAR-10 than in the paper (tables 1 and 6): the same runs with one thing changed.

    python benchmarks/order.py --work reproduce [--data DIR] [--jobs 2]

The zoo, the split and everything else are those of ``wskan reproduce table1 --scale cpu``; one seed. Nothing is
chosen by these runs. The training accuracy of the last epoch, with dropout, tells whether a model fits its training KANs. Run again, it goes on.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from common import write
from wskan.experiments import get_scale
from wskan.experiments.plan import Plan
from wskan.experiments.scale import Scale
from wskan.experiments.workspace import Workspace
from wskan.tasks import Run
from wskan.tasks.run import learning_curve

SCALE = get_scale("cpu")


def changed(epochs: int = 40, dropout: float = 0.2) -> Scale:
    return dataclasses.replace(SCALE, dropout=dropout, training=dataclasses.replace(SCALE.training, epochs=epochs))


def plan(method: str, scale: Scale = SCALE, samples: int | None = None) -> Plan:
    return Plan(scale=scale, dataset="cifar10", method=method, rate=SCALE.rates[0], seed=0, samples=samples)


PLANS = {
    **{f"{m}, 120 epochs": plan(m, changed(120)) for m in ("no_pe", "ws_kan")},
    **{f"{m}, no dropout": plan(m, changed(dropout=0.0)) for m in ("dmc", "deepsets", "mlp_align")},
    "mlp_align, 120 epochs": plan("mlp_align", changed(120)),
    "mlp_align, 120 epochs, no dropout": plan("mlp_align", changed(120, 0.0)),
    **{f"{m}, half of the KANs": plan(m, samples=1_750) for m in ("no_pe", "ws_kan", "dmc", "deepsets", "mlp_align")},
}


def described(plan: Plan, run: Run) -> dict[str, Any]:
    record = run.record
    fitted = [row["train_accuracy"] for row in learning_curve(run.folder) if "train_accuracy" in row]
    return {
        "val_accuracy": record["val"]["accuracy"],
        "test_accuracy": record["test"]["accuracy"],
        "train_accuracy_last_epoch": fitted[-1],
        "seconds": record["train_seconds"],
        "run": plan.name,
        "record": record,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("reproduce"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    workspace = Workspace(folder=arguments.work, data_root=arguments.data, jobs=arguments.jobs)

    def report(plan: Plan, run: Run) -> None:
        print(plan, run.record["val"], f"{run.record['train_seconds']:.0f} s", flush=True)

    workspace.train_all(list(PLANS.values()), report)
    write("order", {name: described(plan, workspace.open(plan)) for name, plan in PLANS.items()})


if __name__ == "__main__":
    main()
