"""Apply runs trained on a zoo of this library to classifiers made by pykan's own ``fit``.

    python -m studies.transfer ZOO RUN [RUN ...] [--data DIR] [--kans 10]

Test KANs of the zoo are taken at equal distances of label noise. Each has a twin: pykan's KAN of the same labels and
recipe. Runs for pruning masks or scores are compared with the oracle: ROC-AUC of edges, accuracy left at their own
threshold, and accuracy with as many edges as the oracle keeps. Runs for accuracies predict these. Scores and masks of
this library's oracle are compared with pykan's `attribute` and `prune_edge`. pykan fits one KAN per core at a time.
"""

import argparse
import multiprocessing
import os
import statistics
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import pykan_fit, write
from wskan.kan import Population, accuracy, edge_scores, from_pykan, oracle_masks
from wskan.kan.edges import flatten_edges
from wskan.tasks import Run, open_run
from wskan.tasks.binary_metrics import roc_auc
from wskan.tasks.pruning import Pruning
from wskan.zoo import Zoo, open_zoo
from wskan.zoo.classifiers import Labels
from wskan.zoo.targets import load_labels

TINY = 1e-5  # scores below count as this, a thousandth of the threshold


def fitted(zoo: Path, row: int, folder: Path | None) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Return pykan's KAN of a zoo's row as tensors, and the differences of this library's oracle from pykan's on it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    recipe = open_zoo(zoo).recipe
    labels = load_labels(recipe, folder)
    model, _ = pykan_fit(recipe, labels.inputs, labels.values([row])[0], row)
    kans = from_pykan(model)
    with torch.no_grad():
        model(labels.scored)
    model.attribute()
    pairs = zip(edge_scores(kans, labels.scored), model.edge_scores, strict=True)
    errors = [((mine[0] - theirs.detach().T).abs() / theirs.detach().T.abs().clamp_min(TINY)) for mine, theirs in pairs]
    masks = oracle_masks(kans, labels.scored)
    model.prune_edge(threshold=recipe.classifier.threshold, log_history=False)
    different = sum(int((m[0] != (act.mask != 0)).sum()) for m, act in zip(masks, model.act_fun, strict=True))
    facts = {
        "largest_relative_error_of_scores": max(float(error.max()) for error in errors),
        "scores_off_by_more_than_1e-5": sum(int((error > 1e-5).sum()) for error in errors),
        "edges_of_mask_different": different,
    }
    return kans.tensors(), facts


def judged(run: Run, kans: Population, labels: Labels) -> dict[str, float]:
    """Compare the predictions of a run for one KAN with measurements on data."""

    def right(population: Population) -> float:
        return float(accuracy(population, labels.test_inputs, labels.test_labels))

    if not isinstance(run.task, Pruning):
        predicted, true = float(run.predict(kans)), right(kans)
        return {"predicted": predicted, "accuracy": true, "squared_error": (predicted - true) ** 2}
    masks = oracle_masks(kans, labels.scored)
    oracle, logits = flatten_edges(masks), run.predict(kans)
    share = float(oracle.float().mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outputs that are cut off count as what they are
        pruned, as_many = run.prune(kans), run.prune(kans, share=share)
    return {
        "auc": roc_auc(logits.flatten(), oracle.flatten()),
        "kept": float(run.task.keep(logits).float().mean()),
        "kept_by_oracle": share,
        "accuracy": right(pruned),
        "accuracy_with_as_many": right(as_many),
        "accuracy_by_oracle": right(kans.prune(masks)),
    }


def spread(kans: Population) -> list[float]:
    """Return the standard deviation of the coefficients of each layer."""
    return [float(layer.coef.std()) for layer in kans.layers]


def rows_of(zoo: Zoo, count: int) -> list[int]:
    """Return the test KANs in the middle of ``count`` equal shares of them by label noise."""
    rows = zoo.split("test")
    order = rows[zoo.columns["noise"][rows].argsort()]
    return [int(order[len(order) * (2 * i + 1) // (2 * count)]) for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--kans", type=int, default=10)
    arguments = parser.parse_args()
    folder, data = arguments.zoo.resolve(), arguments.data and arguments.data.resolve()
    zoo, runs = open_zoo(folder), {path.name: open_run(path) for path in arguments.runs}
    labels, rows = load_labels(zoo.recipe, data), rows_of(zoo, arguments.kans)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        tensors = pool.starmap(fitted, [(folder, row, data) for row in rows])
    found: list[dict[str, Any]] = []
    for row, (parameters, oracle) in zip(rows, tensors, strict=True):
        twins = {
            "pykan": Population.from_tensors(zoo.spec, parameters),
            "wskan": zoo.population(torch.tensor([row])),
        }
        about = {"row": row, "noise": float(zoo.columns["noise"][row]), "oracle_beside_pykans": oracle}
        for origin, kans in twins.items():
            about[origin] = {
                "accuracy": float(accuracy(kans, labels.test_inputs, labels.test_labels)),
                "deviation_of_coefficients": spread(kans),
                **{name: judged(run, kans, labels) for name, run in runs.items()},
            }
        found.append(about)
        print(about, flush=True)
    means = {
        origin: {name: averages([about[origin][name] for about in found]) for name in runs}
        for origin in ("pykan", "wskan")
    }
    write(
        "studies/transfer",
        {"runs": {name: run.record for name, run in runs.items()}, "kans": found, "means": means},
    )


def averages(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the means over KANs."""
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


if __name__ == "__main__":
    main()
