"""Seconds per KAN: wskan's engines compared with pykan's own `fit`.

The recipe is that of MNIST INRs: [2, 32, 32, 1], G = 10, k = 3, 1000 steps of 128, adapted grids.

    python -m benchmarks.builder [--kans 64] [--pykan 2]

The images are scikit-learn's digits, enlarged to 28 x 28, because time does not depend on what is fitted. pykan is
measured twice: one fit alone with all threads, and one single-threaded fit per core, which is its best throughput.
"""

import argparse
import multiprocessing
import os
import time
import warnings

import torch

from benchmarks.common import pykan_fit, write
from wskan.kan import fit_population
from wskan.signals import coordinates, load_images
from wskan.zoo import get_recipe

RECIPE = get_recipe("mnist-inr")
# Multiplications and additions: for each step, sample and edge, (k + 1) basis functions and the base function,
# forward, into the weights and into the input.
OPERATIONS = 2 * 3 * (RECIPE.spec.degree + 2) * RECIPE.spec.num_edges * RECIPE.fit.batch_size * RECIPE.fit.steps


def targets(count: int) -> torch.Tensor:
    images = load_images("digits", "train").images[:count].permute(0, 3, 1, 2).float() / 255
    return torch.nn.functional.interpolate(images, (28, 28), mode="bilinear").flatten(2).transpose(1, 2).contiguous()


def engine(name: str, count: int) -> float:
    x, y = coordinates(28, 28), targets(count)
    if name != "torch":  # compile beforehand: a zoo pays that once
        import dataclasses

        short = dataclasses.replace(RECIPE.fit, steps=60)
        fit_population(RECIPE.spec, x, y, torch.arange(count), short, engine=name)
    begin = time.perf_counter()
    result = fit_population(RECIPE.spec, x, y, torch.arange(count), RECIPE.fit, engine=name)
    seconds = time.perf_counter() - begin
    assert result.population.is_finite().all()
    return seconds / count


def pykan(index: int, threads: int) -> float:
    torch.set_num_threads(threads)
    return pykan_fit(RECIPE, coordinates(28, 28), targets(index + 1)[index], index)[1]


def peak() -> float:
    """Return the multiply-add rate of this machine in operations per second, measured on a product of matrices."""
    a = torch.randn(2048, 2048)
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begin)
    return 2 * 2048**3 / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kans", type=int, default=64)
    parser.add_argument("--pykan", type=int, default=2, help="KANs that pykan fits alone")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    cores = os.cpu_count() or 1
    seconds = {"kernel (before)": engine("kernel", arguments.kans)}
    alone = [pykan(index, cores) for index in range(arguments.pykan)]
    seconds["pykan, all threads, one at a time"] = sum(alone) / len(alone)
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores) as pool:
        seconds["pykan, one a core"] = max(pool.starmap(pykan, [(index, 1) for index in range(cores)])) / cores
    seconds["torch"] = engine("torch", arguments.kans // 4)
    seconds["compile"] = engine("compile", arguments.kans)
    seconds["kernel"] = engine("kernel", arguments.kans)
    rate = peak()
    write(
        "benchmarks/builder",
        {
            "recipe": RECIPE.to_dict(),
            "kans": arguments.kans,
            "seconds_per_kan": {name: round(value, 4) for name, value in seconds.items()},
            "times_faster_than_pykan": {
                name: {base: round(seconds[base] / seconds[name], 1) for base in seconds if base.startswith("pykan")}
                for name in ("kernel", "compile", "torch")
            },
            "roofline": {
                "operations_per_kan": OPERATIONS,
                "peak_operations_per_second": round(rate),
                "least_seconds_per_kan": round(OPERATIONS / rate, 4),
                "bytes": "everything of one KAN (weights, moments, activations: under 1 MB) stays in its core's cache",
            },
        },
    )


if __name__ == "__main__":
    main()
