"""Time and peak memory of a training step of the dense WS-KAN, compared with the PyTorch Geometric reference.

    python -m benchmarks.ws_kan_step [--hidden 128] [--batch 32] [--rounds 5]

Graphs of KANs [2, 32, 32, 1], 4 layers. Peak memory is that of a fresh process minus its memory before the first
step. The time per edge is measured on wider KANs, too.
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.common import resident, side_by_side, write
from wskan.graph import FeatureConfig, kan_graph, to_pyg
from wskan.kan import KANSpec, Population
from wskan.models import WSKAN, WSKANConfig

ROOT = Path(__file__).parents[1]
KINDS = ("pyg fp32", "dense fp32", "dense bf16", "dense bf16 checkpointed")


def step(kind: str, hidden: int, batch: int, width: int = 32) -> Callable[[], None]:
    torch.manual_seed(0)
    spec = KANSpec(widths=(2, width, width, 1), grid=10)
    graph, label = (
        kan_graph(Population.init(spec, range(batch)), FeatureConfig(form="raw")),
        torch.randint(10, (batch,)),
    )
    model = WSKAN(
        WSKANConfig(
            widths=spec.widths, edge_dim=15, out_dim=10, hidden=hidden, checkpoint_activations="checkpointed" in kind
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    forward, data = model, graph
    if kind.startswith("pyg"):
        from torch_geometric.data import Batch

        from wskan.models.ws_kan_pyg import WSKANPyG

        forward, data = WSKANPyG(model), Batch.from_data_list(to_pyg(graph))

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in kind):
            output = forward(data)
        torch.nn.functional.cross_entropy(output.float(), label).backward()
        optimizer.step()

    return run


def peak_memory(kind: str, hidden: int, batch: int) -> float:
    """Return bytes, measured in a process of its own."""
    code = [
        sys.executable,
        "-m",
        "benchmarks.ws_kan_step",
        "--memory",
        kind,
        "--hidden",
        str(hidden),
        "--batch",
        str(batch),
    ]
    return float(subprocess.run(code, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()[-1])


def print_memory(kind: str, hidden: int, batch: int) -> None:
    step(kind, hidden, 1)()  # loads libraries and code
    run, before = step(kind, hidden, batch), resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    run()
    run()
    print(resident("VmHWM") - before)


def operations(edges: int, hidden: int, layers: int, features: int) -> int:
    """Return the operations of a step: products of edge states with h x h matrices, forward and twice backward.

    There are 4 products per layer, in the last layer 2, in the first 1 and 3 with features.
    """
    return 2 * 3 * ((4 * (layers - 2) + 3) * hidden**2 + 3 * features * hidden) * edges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    hidden, batch = arguments.hidden, arguments.batch
    if arguments.memory:
        return print_memory(arguments.memory, hidden, batch)
    seconds = side_by_side({kind: step(kind, hidden, batch) for kind in KINDS}, arguments.rounds)
    memory = {kind: peak_memory(kind, hidden, batch) for kind in KINDS}
    widths = (16, 32, 64, 128)
    edges = {width: KANSpec(widths=(2, width, width, 1)).num_edges for width in widths}
    scaling = side_by_side({str(width): step("dense bf16", hidden, batch, width) for width in widths}, arguments.rounds)
    a, b = (torch.randn(4096, 4096, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    products = side_by_side({"fp32": lambda: a @ a, "bf16": lambda: b @ b}, 3)
    peak = {name: 2 * 4096**3 / value for name, value in products.items()}
    work = operations(edges[32] * batch, hidden, 4, 15)
    write(
        f"benchmarks/ws_kan_step_h{hidden}",
        {
            "hidden": hidden,
            "batch": batch,
            "layers": 4,
            "seconds": {kind: round(value, 4) for kind, value in seconds.items()},
            "times_faster_than_pyg_fp32": {
                kind: round(seconds["pyg fp32"] / value, 2) for kind, value in seconds.items()
            },
            "peak_megabytes": {kind: round(value / 1e6) for kind, value in memory.items()},
            "times_less_memory_than_pyg_fp32": {
                kind: round(memory["pyg fp32"] / value, 2) for kind, value in memory.items()
            },
            "roofline": {
                "operations": work,
                "peak_operations_per_second": {name: round(value) for name, value in peak.items()},
                "least_seconds": {name: round(work / value, 4) for name, value in peak.items()},
                # per edge and layer: read it, write the new one; read it and the gradient, write its gradient
                "bytes_bf16": 2 * 5 * 4 * hidden * edges[32] * batch,
            },
            "scaling": {
                width: {
                    "edges": edges[width],
                    "seconds": round(scaling[str(width)], 4),
                    "nanoseconds_per_edge": round(1e9 * scaling[str(width)] / edges[width] / batch),
                }
                for width in widths
            },
        },
    )
    return None


if __name__ == "__main__":
    main()
