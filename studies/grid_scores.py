"""Compare ways of scoring edges without data, by their agreement with the masks of the oracle.

    python -m studies.grid_scores ZOO [--data DIR] [--kans 100] [--uniform 50]

Measures the area under the ROC curve (percent, all edges of all KANs) on test KANs of a zoo of classifiers:

- ``closed_form``: :func:`wskan.kan.attribution` without data. The deviation of a hidden neuron is that of its grid.
- ``root_sum_squares``: a hidden neuron varies as if its incoming edges were independent.
- ``independent_draws``: pykan's formula on inputs drawn independently from the grids of the first layer.
- ``geometric_mean``: of the scores of the first and the third.

The same is measured on KANs of the recipe fitted again on the uniform grid (``adapt_grid=False``). Such grids contain
no information on activations, and ``attribution`` takes the draws there.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from benchmarks.common import write
from wskan.kan import Population, attribution, edge_scores, fit_population
from wskan.kan.attribution import adapted_grids, drawn_inputs, grid_deviations, hand_down
from wskan.kan.edges import flatten_edges
from wskan.kan.oracle import masks_above
from wskan.tasks.binary_metrics import roc_auc
from wskan.zoo import Zoo, open_zoo
from wskan.zoo.classifiers import Labels
from wskan.zoo.targets import load_labels

FEW = 16  # KANs at once


def ways(kans: Population) -> dict[str, torch.Tensor]:
    """Return the scores ``[K, E]`` of each way."""
    edge_std, node_std = grid_deviations(kans)
    independent = [edge.square().sum(1).sqrt() for edge in edge_std]
    closed = flatten_edges(hand_down(edge_std, node_std).edges)
    draws = flatten_edges(edge_scores(kans, drawn_inputs(kans)))
    return {
        "closed_form": closed,
        "root_sum_squares": flatten_edges(hand_down(edge_std, independent).edges),
        "independent_draws": draws,
        "geometric_mean": (closed * draws).sqrt(),
        "attribution": flatten_edges(attribution(kans).edges),
    }


def measured(kans: Population, labels: Labels, threshold: float) -> dict[str, object]:
    """Return the areas of each way over all edges of all KANs, and the mean of the areas per KAN."""
    scores: dict[str, list[torch.Tensor]] = {}
    masks = []
    for few in torch.split(torch.arange(len(kans)), FEW):
        some = kans[few]
        masks.append(flatten_edges(masks_above(some, edge_scores(some, labels.scored), threshold)))
        for name, score in ways(some).items():
            scores.setdefault(name, []).append(score)
    mask = torch.cat(masks)
    return {
        "kans": len(kans),
        "adapted": int(adapted_grids(kans).sum()),
        "kept": 100 * float(mask.float().mean()),
        "auc": {name: 100 * roc_auc(torch.cat(score).flatten(), mask.flatten()) for name, score in scores.items()},
        "mean_auc_of_a_kan": {
            name: 100 * sum(map(roc_auc, torch.cat(score), mask)) / len(mask) for name, score in scores.items()
        },
    }


def fitted_on_the_uniform_grid(zoo: Zoo, labels: Labels, rows: torch.Tensor) -> Population:
    """Fit the zoo's KANs of these rows again on the uniform grid."""
    fit = dataclasses.replace(zoo.recipe.fit, adapt_grid=False)
    seeds = zoo.columns["seed"][rows]
    return fit_population(zoo.spec, labels.inputs, labels.values(rows), seeds, fit).population


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--kans", type=int, default=100)
    parser.add_argument("--uniform", type=int, default=50)
    arguments = parser.parse_args()
    zoo = open_zoo(arguments.zoo)
    labels, rows, oracle = load_labels(zoo.recipe, arguments.data), zoo.split("test"), zoo.recipe.classifier
    assert oracle is not None
    uniform = fitted_on_the_uniform_grid(zoo, labels, rows[: arguments.uniform])
    result = {
        "zoo": zoo.recipe.to_dict(),
        "as_in_the_zoo": measured(zoo.population(rows[: arguments.kans]), labels, oracle.threshold),
        "on_the_uniform_grid": measured(uniform, labels, oracle.threshold),
    }
    write(f"studies/grid_scores_{zoo.recipe.dataset.replace('-', '_')}", result)


if __name__ == "__main__":
    main()
