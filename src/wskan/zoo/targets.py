"""What each KAN of a recipe is to learn: signals to represent, or labels of images."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan import FitResult, Layer, Population, accuracy, derive_seed, edge_scores
from wskan.kan.attribution import LEAST_SCORE
from wskan.kan.oracle import masks_above
from wskan.signals import Images, Waves, coordinates, load_images, psnr, sine_waves
from wskan.signals.waves import SIDE
from wskan.zoo.recipe import Classifier, Recipe

SPLITS = ("train", "val", "test")
ORACLE, SCORE = "oracle.", "score."  # prefixes of the oracle's masks and of the logarithms of its scores in a shard


@dataclasses.dataclass(frozen=True)
class Signals:
    """Signals for all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: ``[P, in]`` coordinates, the same for all.
        split: ``[n]`` int64, index into ``SPLITS``.
        source: ``[n]`` int64, index of the image in its split of the data set, or of the wave.
        labels: columns of the zoo that say what the KAN represents.
        peak: range of the signal, for the PSNR.
        shape: ``(H, W, C)`` of a signal.
        note: what is unusual about the data; empty if nothing is.
        files: what the manifest keeps of the files that it was read from, see :func:`files_of`.
    """

    inputs: Tensor
    split: Tensor
    source: Tensor
    labels: dict[str, Tensor]
    peak: float
    shape: tuple[int, int, int]
    note: str
    files: dict[str, str]
    _signals: tuple[Images | Waves, Images | Waves]  # for training and validation, for test

    def values(self, rows: range | Tensor) -> Tensor:
        """Values ``[len(rows), P, out]`` of some signals."""
        rows = torch.as_tensor(rows)
        train, test = self._signals
        values = torch.empty(len(rows), len(self.inputs), self.shape[2], dtype=torch.float32)
        is_test = self.split[rows] == SPLITS.index("test")
        values[~is_test] = train.targets(self.source[rows][~is_test])
        values[is_test] = test.targets(self.source[rows][is_test])
        return values

    def stored(self, population: Population) -> Population:
        """As it goes to disk."""
        return population

    def facts(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Columns for some fitted KANs, and their PSNR (dB)."""
        columns = {"source": self.source[rows], "psnr": psnr(result.loss, self.peak).float()}
        return columns | {name: column[rows] for name, column in self.labels.items()}

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """None: nobody prunes these."""
        return {}


@dataclasses.dataclass(frozen=True)
class Labels:
    """Images with permuted labels for all KANs of a recipe, in the order of the zoo: training, validation, test.

    Attributes:
        inputs: ``[N, pixels]`` training images in [0, 1], the same for all.
        split: ``[n]`` int64, index into ``SPLITS``.
        noise: ``[n]`` share of the labels that are permuted.
        note, files: see :class:`Signals`.
        test_inputs, test_labels: ``[M, pixels]`` and ``[M]``, what accuracies are measured on.
        scored: ``[S, pixels]`` training images that the oracle sees.
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
    _seeds: Tensor  # [n], of the permutations
    _config: Classifier

    def values(self, rows: range | Tensor) -> Tensor:
        """Labels ``[len(rows), N]`` that some KANs learn from: a random share permuted among themselves (paper, C.2.1)."""
        values = self._labels.repeat(len(rows), 1)
        for labels, row in zip(values, torch.as_tensor(rows).tolist(), strict=True):
            generator = torch.Generator().manual_seed(int(self._seeds[row]))
            order = torch.randperm(len(labels), generator=generator)
            chosen = order[: round(float(self.noise[row]) * len(labels))]
            labels[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator)]]
        return values

    def stored(self, population: Population) -> Population:
        """As it goes to disk: knots stay in single precision, where neighbours are close."""
        if self._config.storage == "float32":
            return population
        return Population(population.spec, [_half(layer) for layer in population.layers])

    def facts(self, rows: Tensor, result: FitResult) -> dict[str, Tensor]:
        """Columns for some fitted KANs: share of permuted labels, and accuracy on the test images, in [0, 1]."""
        return {"noise": self.noise[rows], "accuracy": accuracy(result.population, self.test_inputs, self.test_labels)}

    def oracle(self, population: Population) -> dict[str, Tensor]:
        """Masks of the oracle, ``[n, n_l, n_{l+1}]`` uint8 of each layer, and if the recipe keeps them the natural
        logarithms of its scores, float16 of that shape: of a score of at least :data:`wskan.kan.attribution.LEAST_SCORE`.
        """
        scores = edge_scores(population, self.scored, self._config.score)
        masks = masks_above(population, scores, self._config.threshold)
        tensors = {f"{ORACLE}{index}": mask.to(torch.uint8) for index, mask in enumerate(masks)}
        if self._config.scores:
            tensors |= {
                f"{SCORE}{index}": score.clamp_min(LEAST_SCORE).log().half() for index, score in enumerate(scores)
            }
        return tensors


Targets = Signals | Labels


def _half(layer: Layer) -> Layer:
    """In half precision. Where a coefficient is beyond its range (one in millions, of a function that hardly any sample reaches), a power of two goes over to the spline
    weight of that edge, which is an exact symmetry.
    """
    excess = layer.coef.abs().amax(-1) / torch.finfo(torch.float16).max
    factor = torch.exp2(excess.clamp_min(1).log2().ceil())
    half = dataclasses.replace(
        layer,
        base_weight=layer.base_weight.half(),
        spline_weight=(layer.spline_weight * factor).half(),
        coef=(layer.coef / factor.unsqueeze(-1)).half(),
        mask=layer.mask.half(),
    )
    if not bool(torch.stack([t.isfinite().all() for t in (half.base_weight, half.spline_weight, half.coef)]).all()):
        raise DataError(
            f"a KAN is beyond the range of half precision (coefficients up to {float(layer.coef.abs().max()):.3g}); store the zoo in float32"
        )
    return half


def load_targets(recipe: Recipe, root: Path | str | None = None, *, fetch: bool = False) -> Targets:
    """Load the data that a recipe needs.

    Raises:
        DataError: data that is missing, damaged, of another shape, or too little for the recipe.
    """
    split = recipe.splits()
    if recipe.classifier is not None:
        return _load_labels(recipe, recipe.classifier, split, root, fetch)
    if recipe.dataset == "sine":
        waves, source = sine_waves(len(recipe), recipe.seed), torch.arange(len(recipe))
        labels = {"freq_0": waves.frequencies[:, 0].clone(), "freq_1": waves.frequencies[:, 1].clone()}
        return Signals(coordinates(SIDE, SIDE), split, source, labels, 2.0, (SIDE, SIDE, 1), "", {}, (waves, waves))
    train = load_images(recipe.dataset, "train", root=root, fetch=fetch)
    test = load_images(recipe.dataset, "test", root=root, fetch=fetch)
    first, last = _pick(len(train), recipe.val + recipe.train, recipe), _pick(len(test), recipe.test, recipe)
    first = torch.cat(
        [first[recipe.val :], first[: recipe.val]]
    )  # validation picks first: more training KANs leave it alone
    labels = {"label": torch.cat([train.labels[first], test.labels[last]])}
    height, width, channels = train.images.shape[1:]
    if recipe.spec.widths[0] != 2 or recipe.spec.widths[-1] != channels:
        raise DataError(f"{recipe.dataset} needs KANs [2, ..., {channels}], the recipe has {list(recipe.spec.widths)}")
    source = torch.cat([first, last])
    return Signals(
        coordinates(height, width),
        split,
        source,
        labels,
        1.0,
        (height, width, channels),
        train.note,
        files_of(train, test),
        (train, test),
    )


def files_of(*splits: Images) -> dict[str, str]:
    """Name the content of all files of a data set by one SHA-256, and those that are not as published; nothing for data that needs no files."""
    checksums = {file: checksum for images in splits for file, checksum in images.checksums.items()}
    if not checksums:
        return {}
    content = "".join(f"{file} {checksum}\n" for file, checksum in sorted(checksums.items()))
    foreign = sorted({file for images in splits for file in images.foreign})
    facts = {"data_sha256": hashlib.sha256(content.encode()).hexdigest()}
    return facts if not foreign else {**facts, "data_not_as_published": ", ".join(foreign)}


def load_labels(recipe: Recipe, root: Path | str | None = None) -> Labels:
    """As :func:`load_targets`, for classifiers.

    Raises:
        DataError: the KANs are no classifiers, or see there.
    """
    if recipe.classifier is None:
        raise DataError(f"the KANs of {recipe.name} are no classifiers")
    labels = load_targets(recipe, root)
    assert isinstance(labels, Labels)
    return labels


def load_signals(recipe: Recipe, root: Path | str | None = None) -> Signals:
    """As :func:`load_targets`, for KANs that represent something.

    Raises:
        DataError: the KANs are classifiers, or see there.
    """
    if recipe.classifier is not None:
        raise DataError(f"the KANs of {recipe.name} are classifiers: they represent no signal")
    signals = load_targets(recipe, root)
    assert isinstance(signals, Signals)
    return signals


def _load_labels(recipe: Recipe, config: Classifier, split: Tensor, root: Path | str | None, fetch: bool) -> Labels:
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
        split=split,
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


def _pick(available: int, count: int, recipe: Recipe) -> Tensor:
    if count > available:
        raise DataError(
            f"{recipe.dataset} has {available:,} images of a split, the recipe wants {count:,}; lower its counts"
        )
    return torch.randperm(available, generator=torch.Generator().manual_seed(recipe.seed))[:count]
