"""Time of opening, reading, building and training on zoos, compared with another commit.

    python -m benchmarks.safety_cost BEFORE ZOO [--rounds 15]

BEFORE is a checkout of the other commit, ZOO a finished zoo of at least 10,000 KANs. One thread. Each commit has a
process for each case. They take turns, so that a busy machine hits both alike, and the order changes every round. The
first round does not count. WS-KAN has 4 layers, hidden 32 and batches of 32 on digits INRs [2, 32, 32, 1]. Compare the
lowest and the median processor times. Wall times contain the waits for the disk.
"""

import argparse
import dataclasses
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
from wskan.graph import FeatureConfig, kan_graph
from wskan.models import WSKAN, WSKANConfig
from wskan.tasks import TrainConfig, get_task, train
from wskan.zoo import Recipe, build_zoo, get_recipe, open_zoo

HERE = Path(__file__).parents[1]
READ, EPOCHS = 2_000, 10
CASES = ("open the zoo", f"read {READ:,} of its KANs", "build 200 KANs", "training step", f"train {EPOCHS} epochs")


def small() -> Recipe:
    return dataclasses.replace(get_recipe("digits-inr"), name="small", train=160, val=20, test=20, shard_size=20)


def config() -> WSKANConfig:
    features, spec = FeatureConfig(form="raw"), small().spec
    return WSKANConfig(
        model="ws_kan",
        widths=spec.widths,
        edge_dim=features.edge_dim(spec),
        node_dim=features.node_dim(spec),
        bias_dim=features.bias_dim,
        out_dim=10,
        hidden=32,
        num_layers=4,
    )


def opening(zoo: Path, work: Path) -> Callable[[], object]:
    return lambda: open_zoo(zoo)


def reading(zoo: Path, work: Path) -> Callable[[], object]:
    opened = open_zoo(zoo)
    rows = torch.randperm(len(opened), generator=torch.Generator().manual_seed(0))[:READ]
    return lambda: opened.population(rows)


def building(zoo: Path, work: Path) -> Callable[[], object]:
    return lambda: build_zoo(small(), Path(tempfile.mkdtemp(dir=work)) / "zoo")


def stepping(zoo: Path, work: Path) -> Callable[[], object]:
    torch.manual_seed(0)
    built = build_zoo(small(), work / "zoo")
    graph, labels = kan_graph(built.population(slice(0, 32)), FeatureConfig(form="raw")), built.columns["label"][:32]
    model = WSKAN(config())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(graph), labels.long()).backward()
        optimizer.step()

    return run


def training(zoo: Path, work: Path) -> Callable[[], object]:
    built, task = build_zoo(small(), work / "zoo"), get_task("inr-classification")
    settings, options = (
        TrainConfig(epochs=EPOCHS, batch_size=32),
        {"features": FeatureConfig(form="raw"), "device": "cpu"},
    )

    def run() -> object:
        folder = Path(tempfile.mkdtemp(dir=work)) / "run"
        if "model_config" in inspect.signature(train).parameters:  # as it was called at first
            return train(built, task, config(), settings, folder, **options)
        return train(built, folder, task=task, model=config(), config=settings, **options)

    return run


def take(case: str, zoo: Path) -> None:
    """Run a case for each line of input, and print its processor and wall seconds."""
    make = dict(zip(CASES, (opening, reading, building, stepping, training), strict=True))[case]
    with tempfile.TemporaryDirectory(prefix="safety-cost-") as work:
        run = make(zoo, Path(work))
        for _ in sys.stdin:
            wall, processor = time.perf_counter(), time.process_time()
            run()
            print(json.dumps([time.process_time() - processor, time.perf_counter() - wall]), flush=True)


def start(case: str, checkout: Path, zoo: Path) -> "subprocess.Popen[str]":
    source = {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "benchmarks.safety_cost", str(checkout), str(zoo), "--case", case]
    return subprocess.Popen(
        command,
        cwd=HERE,
        env=os.environ | source,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ask(process: "subprocess.Popen[str]") -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    while not (line := process.stdout.readline()).startswith("["):  # what else is printed
        if not line:
            raise SystemExit("a process ended: run it with --case to see why")
    seconds: list[float] = json.loads(line)
    return seconds


def row(case: str, before: Path, zoo: Path, rounds: int) -> dict[str, Any]:
    processes = {name: start(case, place, zoo) for name, place in (("before", before), ("after", HERE))}
    taken: dict[str, list[list[float]]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name in ("before", "after") if number % 2 else ("after", "before"):
            taken[name].append(ask(processes[name]))
    for process in processes.values():
        process.communicate()
    result: dict[str, Any] = {}
    for index, clock in enumerate(("processor", "wall")):
        seconds = {name: [pair[index] for pair in pairs[1:]] for name, pairs in taken.items()}
        for kind, choose in (("lowest", min), ("median", statistics.median)):
            found = {name: choose(values) for name, values in seconds.items()}
            ratio = round(found["after"] / found["before"], 3)
            result[f"{kind} {clock} seconds"] = {n: round(s, 5) for n, s in found.items()} | {
                "after_over_before": ratio
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        return take(asked.case, asked.zoo)
    before, zoo = asked.before.resolve(), asked.zoo.resolve()
    data: dict[str, Any] = {}
    for case in CASES:
        short = case in (CASES[0], CASES[1], CASES[3])
        data[case] = row(case, before, zoo, asked.rounds * (5 if short else 1))
        print(case, json.dumps(data[case]), flush=True)
    command = ["git", "-C", str(before), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    write(
        "benchmarks/safety_cost", {"before": commit, "kans": len(open_zoo(zoo)), "rounds": asked.rounds, "cases": data}
    )
    return None


if __name__ == "__main__":
    main()
