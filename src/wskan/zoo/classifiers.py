"""Targets of classifiers: images with partly permuted labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import FitResult, Population, accuracy, derive_seed, edge_scores
from wskan.kan.attribution import LEAST_SCORE
from wskan.kan.oracle import masks_above
from wskan.signals import load_images
from wskan.zoo.recipe import ClassifierConfig, Recipe
from wskan.zoo.storage import ORACLE, SCORE, files_of, to_half_precision


@dataclasses.dataclass(frozen=True)
class Labels:
    """Images and labels for all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: training images, ``[N, pixels]`` in [0, 1], the same for all KANs.
        split: split of each KAN, ``[n]`` int64, index into ``SPLITS``.
        noise: share of permuted labels of each KAN, ``[n]``.
        note, files: see :class:`wskan.zoo.inr.Signals`.
        test_inputs, test_labels: images to measure accuracy on, ``[M, pixels]``, and their labels, ``[M]``.
        scored: training images to compute the oracle's scores on, ``[S, pixels]``.
    """

    inputs: Tensor
    split: Tensor
    noise: Tensor
    note: str
    files: dict[str, str]
    test_inputs: Tensor
    test_labels: Tensor
    scored: Tensor
    _labels: Tensor  # [N]
    _seeds: Tensor  # [n], seeds of the permutations
    _config: ClassifierConfig

    def values(self, rows: range | Tensor) -> Tensor:
        """Return the training labels of some KANs, ``[len(rows), N]``.

        A random share of them is permuted (paper, C.2.1).
        """
        values = self._labels.repeat(len(rows), 1)
        for labels, row in zip(values, torch.as_tensor(rows).tolist(), strict=True):
            generator = torch.Generator().manual_seed(int(self._seeds[row]))
            order = torch.randperm(len(labels), generator=generator)
            chosen = order[: round(float(self.noise[row]) * len(labels))]
            labels[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator)]]
        return values

    def stored(self, population: Population) -> Population:
        """Convert KANs to the precision of the recipe. Knots stay in single precision, because neighbours are close."""
        if self._config.storage == "float32":
            return population
        return Population(population.spec, [to_half_precision(layer) for layer in population.layers])

    def columns(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Measure fitted KANs.

        Returns:
            ``noise``, the share of permuted labels, and ``accuracy`` on the test images, ``[len(rows)]`` each. Both are
            in [0, 1].
        """
        return {"noise": self.noise[rows], "accuracy": accuracy(result.population, self.test_inputs, self.test_labels)}

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """Compute the masks of the pruning oracle, and its scores if the recipe keeps them.

        Returns:
            For each layer a mask, ``[n, n_l, n_{l+1}]`` uint8. Scores are natural logarithms, float16 of that shape.
            Scores below :data:`wskan.kan.attribution.LEAST_SCORE` are raised to it.
        """
        scores = edge_scores(population, self.scored, self._config.score)
        masks = masks_above(population, scores, self._config.threshold)
        tensors = {f"{ORACLE}{index}": mask.to(torch.uint8) for index, mask in enumerate(masks)}
        if self._config.scores:
            tensors |= {
                f"{SCORE}{index}": score.clamp_min(LEAST_SCORE).log().half() for index, score in enumerate(scores)
            }
        return tensors


def read_labels(recipe: Recipe, config: ClassifierConfig, root: Path | str | None, fetch: bool) -> Labels:
    """Load the images and labels for the classifiers of a recipe.

    Raises:
        DataError: see :func:`wskan.zoo.targets.load_targets`.
    """
    train = load_images(recipe.dataset, "train", root=root, fetch=fetch)
    test = load_images(recipe.dataset, "test", root=root, fetch=fetch)
    inputs, unseen = (images.pixels() for images in (train, test))
    if (recipe.spec.widths[0], recipe.spec.widths[-1]) != (inputs.shape[1], 10):
        raise DataError(
            f"{recipe.dataset} needs KANs [{inputs.shape[1]}, ..., 10], the recipe has {list(recipe.spec.widths)}"
        )
    generator = torch.Generator().manual_seed(recipe.seed)
    scored = inputs[torch.randperm(len(inputs), generator=generator)[: config.scored]]
    seeds = recipe.kan_seeds(range(len(recipe)), stream=1)
    noise = (seeds.double() / 2**63 * config.noise).float()
    return Labels(
        inputs=inputs,
        split=recipe.splits(),
        noise=noise,
        note=train.note,
        files=files_of(train, test),
        test_inputs=unseen,
        test_labels=test.labels,
        scored=scored,
        _labels=train.labels,
        _seeds=derive_seed(seeds, 4),
        _config=config,
    )
