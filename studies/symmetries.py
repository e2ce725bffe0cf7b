"""Check the symmetries of B-spline KANs on trained KANs.

Counts the activations that leave their grids, and measures how far a random symmetry moves the outputs.

    python -m studies.symmetries --data DIR [--kans 24]

DIR holds the data sets in their publishers' layouts. Small zoos of the recipes below are built in a temporary folder,
with adapted grids (the default) and with fixed grids. Inputs are those that the KANs learned from. Scales are drawn as
in augmentation, signs with equal probability. Shifts are normal, with the standard deviation over a layer's edges of
the mean coefficient times the spline weight.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import write
from wskan.kan import Permutation, Population, negate_neurons, outside_domain, scale_edges, shift_edges, symmetry_error
from wskan.zoo import build_zoo, get_recipe
from wskan.zoo.targets import load_targets

RECIPES = ("mnist-inr", "fashion-mnist-inr", "cifar10-inr", "sine-inr")


def measure(name: str, count: int, data: Path, *, adapted: bool) -> dict[str, Any]:
    recipe = dataclasses.replace(get_recipe(name), train=count, val=0, test=0)
    recipe = dataclasses.replace(recipe, fit=dataclasses.replace(recipe.fit, adapt_grid=adapted))
    with tempfile.TemporaryDirectory() as folder:
        zoo = build_zoo(recipe, Path(folder) / "zoo", data_root=data)
        kans, psnr = zoo.population(slice(None))[torch.arange(count)], zoo.columns["psnr"]
    x, generator = load_targets(recipe, data).inputs, torch.Generator().manual_seed(0)
    widths = recipe.spec.widths
    others = {
        "permuted": kans.permute(Permutation.random(widths, count, generator)),
        "scaled": scale_edges(
            kans, [2 ** (2 * torch.rand(layer.mask.shape, generator=generator) - 1) for layer in kans.layers]
        ),
        "shifted": shift_edges(kans, shifts(kans, generator)),
        "negated": negate_neurons(kans, [torch.rand(count, n, generator=generator) < 0.5 for n in widths[1:-1]]),
    }
    outside = outside_domain(kans, x)
    return {
        "kans": count,
        "mean_psnr_db": round(float(psnr.mean()), 1),
        "share_of_activations_outside": {
            "by_layer": [round(share, 4) for share in outside.mean(0).tolist()],
            "kans_without_any": int((outside == 0).all(1).sum()),
        },
        "error_over_spread": {symmetry: summary(symmetry_error(kans, other, x)) for symmetry, other in others.items()},
    }


def shifts(kans: Population, generator: torch.Generator) -> list[Tensor]:
    drawn = []
    for layer in kans.layers:
        means = (layer.spline_weight.unsqueeze(-1) * layer.coef).mean(-1)  # [K, in, out]
        drawn.append(torch.randn(means.shape, generator=generator) * means.std((1, 2), keepdim=True))
    return drawn


def summary(errors: Tensor) -> dict[str, float]:
    found = {"mean": errors.mean(), "median": errors.median(), "largest": errors.max()}
    return {name: float(f"{value:.2g}") for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kans", type=int, default=24)
    arguments = parser.parse_args()
    found = {
        name: {
            grids: measure(name, arguments.kans, arguments.data, adapted=grids == "adapted")
            for grids in ("adapted", "fixed")
        }
        for name in RECIPES
    }
    write("studies/symmetries", found)


if __name__ == "__main__":
    main()
