"""Compare classifiers stored in half precision with the same in single precision.

Compares their accuracies, the oracle's masks and the scores of trained models.

    python -m studies.half_precision HALF SINGLE RUN [RUN ...]

HALF and SINGLE are zoos of one recipe apart from ``storage``, with every share of permuted labels. The runs were
trained on HALF. Each is scored on the test KANs of both zoos.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
from wskan.kan.edges import flatten_edges
from wskan.tasks import evaluate, open_run
from wskan.zoo import Zoo, open_zoo

ROWS = 64  # KANs that are compared at once


def kans(half: Zoo, single: Zoo) -> dict[str, Any]:
    """Compare all KANs of the two zoos."""
    moved = (half.columns["accuracy"] - single.columns["accuracy"]).abs()
    edges = (flatten_edges(half.masks(slice(None))) != flatten_edges(single.masks(slice(None)))).sum(1).float()
    same = torch.cat([are_rounded(half, single, rows) for rows in torch.split(torch.arange(len(half)), ROWS)])
    return {
        "kans": len(half),
        "kans_that_are_the_others_rounded": int(same.sum()),
        "change_of_accuracy": {"mean": float(moved.mean()), "largest": float(moved.max())},
        "edges_of_mask_different_a_kan": {"mean": float(edges.mean()), "largest": int(edges.max())},
        "edges": half.spec.num_edges,
        "bytes": {"half": half.info()["bytes"], "single": single.info()["bytes"]},
    }


def are_rounded(half: Zoo, single: Zoo, rows: torch.Tensor) -> torch.Tensor:
    """Return which stored KANs are the others rounded, apart from a power of two moved to the spline weight."""
    same = torch.ones(len(rows), dtype=torch.bool)
    for h, s in zip(half.population(rows, stored=True).layers, single.population(rows).layers, strict=True):
        for name in ("coef", "base_weight"):
            same &= (getattr(h, name) == getattr(s, name).half()).flatten(1).all(1)
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", type=Path)
    parser.add_argument("single", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    zoos = {name: open_zoo(getattr(arguments, name)) for name in ("half", "single")}
    if zoos["half"].dtype != torch.float16 or zoos["single"].dtype != torch.float32:
        parser.error("HALF must be stored in float16, SINGLE in float32")
    runs = {}
    for folder in arguments.runs:
        run = open_run(folder)
        scores = {name: evaluate(run.model, zoo, run.task, run.features) for name, zoo in zoos.items()}
        runs[f"{run.task.name}, {folder.name}"] = scores
    write("studies/half_precision", {"recipe": zoos["half"].recipe.to_dict(), **kans(**zoos), "test_scores": runs})


if __name__ == "__main__":
    main()
