"""Weight matching of 10,000 KANs to one reference, compared with a plain loop; MergeMany on trained KANs.

    python -m benchmarks.align [--kans 10000] [--plain 300] [--trained 300] [--data DIR]

KANs are [2, 32, 32, 1] with G = 10. The loop takes one KAN at a time with NumPy and SciPy, and must find the same
objective. Trained KANs represent MNIST images; ``--trained 0`` leaves them out.
"""

import argparse
import dataclasses
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.common import write
from wskan.align import interpolation_loss, merge_many, weight_matching
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Population, derive_seed, fit_population
from wskan.signals import psnr
from wskan.testing import random_population
from wskan.zoo import build_zoo, get_recipe
from wskan.zoo.targets import load_targets

WIDTHS, GRID = (2, 32, 32, 1), 10
CHANNELS = GRID + 3 + 2
Matrices = list[np.ndarray]  # [n_l, n_{l+1}, F] per layer


def plain(b: Matrices, a: Matrices, tolerance: float = 1e-6) -> float:
    """Return the objective that one KAN reaches, as the formula is written."""
    order = [np.arange(layer.shape[1]) for layer in b[:-1]]
    norms = np.sqrt(sum((x * x).sum() for x in a) * sum((x * x).sum() for x in b))
    total, gain = sum(float((x * y).sum(dtype=np.float64)) for x, y in zip(a, b, strict=True)), np.inf
    while gain > tolerance * norms:
        gain = 0.0
        for h in range(len(order)):
            before = b[h][order[h - 1]] if h > 0 else b[h]
            after = b[h + 1][:, order[h + 1]] if h + 1 < len(order) else b[h + 1]
            value = np.tensordot(a[h], before, ((0, 2), (0, 2))) + np.tensordot(a[h + 1], after, ((1, 2), (1, 2)))
            value = value.astype(np.float64)
            rows, new = linear_sum_assignment(value, maximize=True)
            more = value[rows, new].sum() - value[rows, order[h]].sum()
            if more > 0:
                order[h], gain = new, gain + more
        total += gain
    return total


def speed(count: int, loop: int) -> dict[str, object]:
    kans, reference = (
        random_population(WIDTHS, size, seed, grid=GRID, keep=1.0) for size, seed in ((count, 0), (1, 1))
    )
    begin = time.perf_counter()
    matching = weight_matching(kans, reference)
    ours = time.perf_counter() - begin
    some = [
        [layer.numpy() for layer in graph]
        for graph in zip(*kan_graph(kans[:loop], FeatureConfig(form="raw")).edges, strict=True)
    ]
    target = [layer[0].numpy() for layer in kan_graph(reference, FeatureConfig(form="raw")).edges]
    begin = time.perf_counter()
    found = torch.tensor([plain(kan, target) for kan in some], dtype=torch.float64)
    theirs = (time.perf_counter() - begin) / loop
    own = matching.objective[-1, :loop]
    different = float(((found - own).abs() / own.abs()).max())
    assert different < 1e-5, different
    sweeps = float(((matching.objective.diff(dim=0) > 0).sum(0) + 1).double().mean())
    return {
        "kans": count,
        "seconds": {"all at once": round(ours, 2), "plain loop, extrapolated": round(theirs * count, 2)},
        "milliseconds_per_kan": {"all at once": round(1e3 * ours / count, 3), "plain loop": round(1e3 * theirs, 3)},
        "times_faster": round(theirs * count / ours, 2),
        "plain_loop_kans": loop,
        "largest_relative_difference_of_objective": different,
        "sweeps_per_kan": round(sweeps, 2),
        "roofline": roofline(count, sweeps),
    }


def roofline(count: int, sweeps: float) -> dict[str, object]:
    """Return the least cost of the values of the assignments, and that of SciPy's assignments."""
    hidden = range(1, len(WIDTHS) - 1)
    work = sum(2 * WIDTHS[h] ** 2 * (WIDTHS[h - 1] + WIDTHS[h + 1]) * CHANNELS for h in hidden) * sweeps * count
    # Each pass over a hidden layer reads its edges once. Edges shared with another hidden layer are read, written
    # and read again.
    edges = [n * m for n, m in itertools.pairwise(WIDTHS)]
    moved = 4 * CHANNELS * 2 * (edges[0] / 2 + edges[-1] / 2 + 3 * sum(edges[1:-1])) * sweeps * count
    a, big = torch.randn(2048, 2048), torch.randn(2**26)
    product, copy = timed(lambda: a @ a), timed(lambda: big.clone())
    values = np.random.default_rng(0).normal(size=(500, 32, 32))
    one = timed(lambda: [linear_sum_assignment(value, maximize=True) for value in values]) / len(values)
    peak, bandwidth = 2 * 2048**3 / product, 2 * 4 * 2**26 / copy
    return {
        "operations": round(work),
        "peak_operations_per_second": round(peak),
        "bytes": round(moved),
        "bytes_per_second": round(bandwidth),
        "least_seconds": {
            "operations": round(work / peak, 2),
            "bytes": round(moved / bandwidth, 2),
            "assignments (SciPy, one thread)": round(one * len(hidden) * sweeps * count, 2),
        },
    }


def timed(run: object) -> float:
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def quality(count: int, pairs: int, data: Path | None) -> dict[str, object]:
    """Measure MergeMany, weight matching to its mean, and lines between two trained KANs of one image."""
    recipe = dataclasses.replace(get_recipe("mnist-inr"), train=count, val=0, test=0)
    with tempfile.TemporaryDirectory() as folder:
        zoo = build_zoo(recipe, Path(folder) / "zoo", data_root=data)
        kans, seeds = zoo.population(slice(None))[torch.arange(count)], zoo.columns["seed"]
    begin = time.perf_counter()
    merge = merge_many(kans)
    seconds = time.perf_counter() - begin
    matching = weight_matching(kans, merge.mean)
    targets, rows = load_targets(recipe, data), torch.arange(pairs)
    values = targets.values(rows)
    again = fit_population(recipe.spec, targets.inputs, values, derive_seed(seeds[rows], 1001), recipe.fit).population
    pair = weight_matching(again, kans[:pairs])
    return {
        "mnist_kans": count,
        "merge_many": {
            "seconds": round(seconds, 2),
            "passes": len(merge.distance) - 1,
            "milliseconds_per_alignment": round(1e3 * seconds / (len(merge.distance) - 1) / count, 2),
            "mean_squared_distance_to_the_mean": [round(float(value), 2) for value in merge.distance],
        },
        "mean_squared_distance_to_the_reference": {
            "before": round(float(matching.distance_before.mean()), 2),
            "after": round(float(matching.distance_after.mean()), 2),
        },
        "two_kans_of_one_image": {
            "pairs": pairs,
            "mean_squared_distance": {
                "before": round(float(pair.distance_before.mean()), 1),
                "after": round(float(pair.distance_after.mean()), 1),
            },
            "psnr_between": {
                name: psnr_between(kans, other, targets.inputs, values)
                for name, other in (("before", again), ("after", pair.aligned))
            },
        },
    }


def psnr_between(a: Population, b: Population, inputs: torch.Tensor, values: torch.Tensor) -> dict[str, float]:
    """Return the mean PSNR over the pairs, in dB, at some points of the line."""
    t = torch.tensor([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
    loss = torch.stack([interpolation_loss(a[i], b[i], inputs, values[i], t) for i in range(len(b))])
    return {f"{at:.2g}": round(float(value), 2) for at, value in zip(t, psnr(loss).mean(0), strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kans", type=int, default=10_000)
    parser.add_argument("--plain", type=int, default=300, help="KANs of the plain loop")
    parser.add_argument("--trained", type=int, default=300, help="trained KANs")
    parser.add_argument("--pairs", type=int, default=50, help="pairs of KANs of one image")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    result = speed(arguments.kans, arguments.plain)
    if arguments.trained:
        result["quality"] = quality(arguments.trained, arguments.pairs, arguments.data)
    write("benchmarks/align", result)


if __name__ == "__main__":
    main()
