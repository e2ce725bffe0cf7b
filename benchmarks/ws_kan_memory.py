"""Peak memory and processor time of a training step of WS-KAN and DeepSets.

    python -m benchmarks.ws_kan_memory [--rounds 5] [--before FOLDER]

Models have 4 layers and one thread. They read 32 graphs of KANs [784, 32, 32, 10], 26,432 edges each, or 64 of
[2, 32, 32, 1]. Each case is a fresh process, and its peak includes libraries. ``--before`` names the ``src`` folder of
another commit, measured in turns with this one. Times are processor times, so that a busy machine can be used.
Small graphs take three times as many rounds.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from benchmarks.common import resident, write
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import KANSpec, Population
from wskan.models import MODELS, build_model
from wskan.models.ops import edge_messages_cpp as message_kernel

CLASSIFIER, INR = KANSpec(widths=(784, 32, 32, 10), grid=5), KANSpec(widths=(2, 32, 32, 1), grid=10)
LAYERS = 4
ROOT = Path(__file__).parents[1]
HERE = ROOT / "src"


class Case(NamedTuple):
    """A case that one process measures."""

    graphs: str = "classifier"
    readout: str = "graph"
    hidden: int = 128
    precision: str = "fp32"
    checkpointed: bool = False
    kernel: bool = True
    model: str = "ws_kan"

    def __str__(self) -> str:
        model = "" if self.model == "ws_kan" else f"{self.model}, "
        kernel = "" if self.kernel else ", without kernel"
        return f"{model}{self.graphs}, {self.readout} read-out, hidden {self.hidden}, {self.precision}{kernel}"

    @property
    def spec(self) -> KANSpec:
        return CLASSIFIER if self.graphs == "classifier" else INR

    @property
    def batch(self) -> int:
        return 32 if self.graphs == "classifier" else 64


def step(case: Case) -> Callable[[], None]:
    if not case.kernel:
        message_kernel.available = lambda *_: False
        with contextlib.suppress(ImportError):  # an older commit
            from wskan.models.ops import edge_mlp_cpp as edge_mlp_kernel

            edge_mlp_kernel.available = lambda *_: False
    torch.manual_seed(0)
    graph = kan_graph(Population.init(case.spec, range(case.batch)), FeatureConfig(form="raw"))
    options = {"checkpoint_activations": case.checkpointed} if case.model == "ws_kan" else {}
    config = MODELS[case.model][1](
        model=case.model,
        widths=case.spec.widths,
        edge_dim=graph.edge_dim,
        out_dim=1,
        hidden=case.hidden,
        readout=case.readout,
        num_layers=LAYERS,
        **options,
    )
    model = build_model(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bf16"):
            output = model(graph)
        outputs = output if case.readout == "edge" else [output]
        flat = torch.cat([o.float().flatten() for o in outputs])
        F.binary_cross_entropy_with_logits(flat, torch.zeros_like(flat)).backward()
        optimizer.step()

    return run


def work(case: Case) -> None:
    """Take a step for each line of input; print its processor time, the peak and the memory before the first."""
    run, before = step(case), resident("VmRSS")
    with kept():
        for _ in sys.stdin:
            begin = time.process_time()
            run()
            print(json.dumps([time.process_time() - begin, resident("VmHWM"), before]), flush=True)


def kept() -> contextlib.AbstractContextManager[None]:
    """Keep freed memory, as training does."""
    try:
        from wskan.runtime import retain_freed_memory
    except ImportError:  # an older commit
        return contextlib.nullcontext()
    return retain_freed_memory()


def in_turns(workers: dict[str, tuple[Case, Path]], rounds: int) -> dict[str, dict[str, float]]:
    """Return the median processor seconds of a step and the bytes of each worker. A first round does not count."""
    told: dict[str, list[list[float]]] = {name: [] for name in workers}
    processes = {name: start(*worker) for name, worker in workers.items()}
    for _ in range(rounds + 1):
        for name, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            told[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {
        name: {"seconds": statistics.median(line[0] for line in lines[1:]), "peak": lines[-1][1], "start": lines[-1][2]}
        for name, lines in told.items()
    }


def start(case: Case, source: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "benchmarks.ws_kan_memory", "--case", json.dumps(case)]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def least_bytes(case: Case) -> int:
    """Return the bytes of all edge states that the backward pass reads, one gradient and the features."""
    states = LAYERS - 1 + (case.readout == "edge")  # the first follow from the features
    number = 4 if case.precision == "fp32" else 2
    edges = case.spec.num_edges * case.batch
    return edges * ((states + 1) * case.hidden * number + 4 * (case.spec.grid + case.spec.degree + 2))


def row(case: Case, before: Path | None, rounds: int) -> dict[str, Any]:
    workers = {"now": (case, HERE)}
    if case.kernel and case.model == "ws_kan":
        workers["checkpointed"] = (case._replace(checkpointed=True), HERE)
    if before is not None:
        workers["before"] = (case, before)
    measured = in_turns(workers, rounds)
    now, least = measured["now"], least_bytes(case)
    return {
        "peak_megabytes": {name: round(one["peak"] / 1e6) for name, one in measured.items()},
        "megabytes_before_the_first_step": round(now["start"] / 1e6),
        "megabytes_that_must_be_held": round(least / 1e6),
        "held_times_least": round((now["peak"] - now["start"]) / least, 2),
        "processor_seconds": {name: round(one["seconds"], 3) for name, one in measured.items()},
        "seconds_over_now": {name: round(one["seconds"] / now["seconds"], 3) for name, one in measured.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        return work(Case(*json.loads(arguments.case)))
    cases = [
        Case(graphs, readout, hidden, precision)
        for graphs in ("classifier", "inr")
        for readout in ("graph", "edge")
        for hidden in (32, 128)
        for precision in ("fp32", "bf16")
    ]
    cases += [Case(readout=readout, hidden=32, kernel=False) for readout in ("graph", "edge")]
    cases += [
        Case(readout=readout, hidden=32, precision=precision, model="deep_sets")
        for readout in ("graph", "edge")
        for precision in ("fp32", "bf16")
    ]
    data = {}
    for case in cases:
        data[str(case)] = row(case, arguments.before, arguments.rounds * (1 if case.graphs == "classifier" else 3))
        print(case, data[str(case)], flush=True)
    before = None
    if arguments.before is not None:
        command = ["git", "-C", str(arguments.before), "rev-parse", "--short=12", "HEAD"]
        before = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    write("benchmarks/ws_kan_memory", {"layers": LAYERS, "before": before, "cases": data})
    return None


if __name__ == "__main__":
    main()
