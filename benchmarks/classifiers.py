"""Seconds per classifier KAN of fitting, testing and pruning, compared with pykan.

KANs are [784, 32, 32, 10] with G = 5, k = 3. Masks come from the oracle and from WS-KAN.

    python -m benchmarks.classifiers --data DIR [--kans 64] [--run RUN]

pykan fits one KAN alone with all threads, and one single-threaded KAN per core, which is its best throughput. Its
oracle is a forward pass on 2,000 images, `attribute()` and `prune_edge(0.01)`, by default and without its symbolic
layers. Its fit is measured without them. Labels are clean, so accuracies and shares of edges kept can be compared, too.
``--run`` names a small WS-KAN trained for masks: `wskan train ZOO RUN --task pruning-mask --hidden 16 --num-layers 2
--form raw ...`. Otherwise an untrained model is timed.
"""

import argparse
import dataclasses
import multiprocessing
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import pykan_fit, write
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Population, accuracy, fit_population, from_pykan, oracle_masks
from wskan.models import WSKANConfig, build_model
from wskan.runtime import retain_freed_memory
from wskan.tasks import open_run
from wskan.zoo import get_recipe
from wskan.zoo.classifiers import Labels
from wskan.zoo.targets import load_labels

RECIPE = get_recipe("mnist-classifier")
RECORDED = ("asked", "val", "test", "train_seconds", "command", "commit", "machine", "versions")
GRAPHS = 16  # that WS-KAN reads at once
SIZES = ((16, 2), (32, 4), (128, 4))  # hidden dimension and layers of a WS-KAN for masks
# As the formula is written: for each step, sample and edge, (k + 1) basis functions and the base function, forward,
# into the weights, and beyond the first layer into the input.
PRODUCTS = 2 * RECIPE.fit.batch_size * (RECIPE.spec.degree + 2)
FIRST, REST = 784 * 32, 32 * 32 + 32 * 10
STEP_OPERATIONS = PRODUCTS * (2 * FIRST + 3 * REST)
STEP_BYTES = 4 * 2 * 4 * RECIPE.spec.num_parameters  # parameters, gradients' use, two moments: read and written


def clean(folder: Path | None) -> Labels:
    assert RECIPE.classifier is not None
    recipe = dataclasses.replace(RECIPE, classifier=dataclasses.replace(RECIPE.classifier, noise=0.0))
    return load_labels(recipe, folder)


def kept(masks: list[torch.Tensor]) -> float:
    return float(sum(mask.float().sum((1, 2)).mean() for mask in masks)) / RECIPE.spec.num_edges


def pykan(folder: Path | None, seed: int, threads: int) -> dict[str, float]:
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())  # pykan leaves files behind
    torch.set_num_threads(threads)
    labels = clean(folder)
    model, fit = pykan_fit(RECIPE, labels.inputs, labels.values(range(1))[0], seed)
    population = from_pykan(model)
    right = float(accuracy(population, labels.test_inputs, labels.test_labels))

    def forward() -> None:
        with torch.no_grad():
            model(labels.scored)

    bare = best(forward, 3)
    model.symbolic_enabled = True
    default = best(forward, 3)

    def mask() -> None:
        model.attribute()
        model.prune_edge(RECIPE.classifier.threshold, log_history=False)

    pruning = timed(mask)[0]
    ours = oracle_masks(population, labels.scored)
    theirs = [(layer.mask != 0).unsqueeze(0) for layer in model.act_fun]
    same = sum(int((a == b).sum()) for a, b in zip(ours, theirs, strict=True))
    return {
        "fit": fit,
        "oracle": default + pruning,
        "oracle_forward": default,
        "oracle_without_symbolic": bare + pruning,
        "accuracy": right,
        "kept": kept(ours),
        "edges_of_mask_different": RECIPE.spec.num_edges - same,
    }


def timed(function: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def best(function: Any, rounds: int) -> float:
    """Return the least seconds of several rounds."""
    return min(timed(function)[0] for _ in range(rounds))


def ours(folder: Path | None, count: int) -> tuple[dict[str, float], dict[str, float]]:
    labels, rows = clean(folder), range(count)
    values = labels.values(rows)
    fit_population(RECIPE.spec, labels.inputs, values[:2], torch.arange(2), dataclasses.replace(RECIPE.fit, steps=1))
    fit, result = timed(lambda: fit_population(RECIPE.spec, labels.inputs, values, torch.arange(count), RECIPE.fit))
    kans = result.population
    test, right = timed(lambda: accuracy(kans, labels.test_inputs, labels.test_labels))
    oracle, masks = timed(lambda: oracle_masks(kans, labels.scored))
    half = dataclasses.replace(labels, _config=dataclasses.replace(labels._config, storage="float16")).stored(kans)
    half_right = accuracy(half, labels.test_inputs, labels.test_labels)
    half_masks = oracle_masks(half, labels.scored)
    different = sum(int((a != b).sum()) for a, b in zip(masks, half_masks, strict=True)) / count
    seconds = {"fit": fit / count, "test": test / count, "oracle": oracle / count}
    coef = torch.cat([layer.coef.flatten() for layer in kans.layers]).abs()
    facts = {
        "accuracy": float(right.mean()),
        "accuracy_std": float(right.std()),
        "kept": kept(masks),
        "largest_coefficient": float(coef.max()),
        "half_precision_largest_change_of_accuracy": float((half_right - right).abs().max()),
        "half_precision_edges_of_mask_different_a_kan": different,
    }
    return {**seconds, **ws_kan(kans)}, facts


def ws_kan(kans: Population) -> dict[str, float]:
    """Time untrained models from KANs to logits of all edges. Time does not depend on weights."""
    seconds = {}
    few = kans[:GRAPHS]
    for hidden, layers in SIZES:
        config = WSKANConfig(
            widths=RECIPE.spec.widths,
            edge_dim=FeatureConfig(form="raw").edge_dim(RECIPE.spec),
            out_dim=1,
            readout="edge",
            hidden=hidden,
            num_layers=layers,
        )
        model = build_model(config).eval()
        for precision in ("fp32", "bf16"):

            def predict(model: Any = model, precision: str = precision) -> None:
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    model(kan_graph(few, FeatureConfig(form="raw")))

            with retain_freed_memory():
                seconds[f"{size_name(hidden, layers)}, {precision}"] = best(predict, 8) / len(few)
    return seconds


def size_name(hidden: int, layers: int) -> str:
    """Return the name of a WS-KAN of this size."""
    return f"ws_kan, hidden {hidden}, {layers} layers"


def mask_ratios(
    seconds: dict[str, float], size: tuple[int, int], alone: dict[str, float], together: list[dict[str, float]]
) -> dict[str, int]:
    """Return how many times longer pykan's oracle takes than masks of a WS-KAN, in its faster precision."""
    name = size_name(*size)
    ours = min(value for key, value in seconds.items() if key.startswith(name))
    oracles = {
        "": alone["oracle"],
        ", against one a core": max(run["oracle"] for run in together) / len(together),
        " on all 60,000 images, an estimate from thirty such forward passes": (
            29 * alone["oracle_forward"] + alone["oracle"]
        ),
    }
    return {f"{name}, for the oracle{against}": round(oracle / ours) for against, oracle in oracles.items()}


def trained(folder: Path) -> dict[str, Any]:
    """Return the scores of the masks of a run on test KANs with every share of permuted labels."""
    run = open_run(folder)
    config = run.model.config
    return {
        "name": size_name(config.hidden, config.num_layers),
        "parameters": run.model.num_parameters,
        **{name: run.record[name] for name in RECORDED},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--kans", type=int, default=64)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    data = arguments.data and arguments.data.resolve()
    before, _ = ours(data, arguments.kans)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        alone = pool.starmap(pykan, [(data, 0, cores)])[0]
    with context.Pool(cores) as pool:
        together = pool.starmap(pykan, [(data, seed, 1) for seed in range(cores)])
    seconds, facts = ours(data, arguments.kans)
    throughput = max(run["fit"] for run in together) / cores
    write(
        "benchmarks/classifiers",
        {
            "recipe": RECIPE.to_dict(),
            "kans": arguments.kans,
            "seconds_per_kan": {name: round(value, 5) for name, value in seconds.items()},
            "seconds_per_kan_before": {name: round(value, 5) for name, value in before.items()},
            "pykan_all_threads": alone,
            "pykan_one_a_core": together,
            "times_faster_than_pykan": {
                "fit, against one at a time": round(alone["fit"] / seconds["fit"], 1),
                "fit, against one a core": round(throughput / seconds["fit"], 1),
                "oracle": round(alone["oracle"] / seconds["oracle"], 1),
                "oracle, against pykan's without symbolic layers": round(
                    alone["oracle_without_symbolic"] / seconds["oracle"], 1
                ),
                **{
                    name: times for size in SIZES for name, times in mask_ratios(seconds, size, alone, together).items()
                },
            },
            "facts": facts,
            "trained_for_masks": arguments.run and trained(arguments.run),
            "roofline": {
                "operations_per_kan_as_written": STEP_OPERATIONS * RECIPE.fit.steps,
                "bytes_per_kan": STEP_BYTES * RECIPE.fit.steps,
                "note": "four fifths of MNIST's pixels are zero, and what they add is computed once for all of them; "
                "then moving weights and moments counts most",
            },
        },
    )


if __name__ == "__main__":
    main()
