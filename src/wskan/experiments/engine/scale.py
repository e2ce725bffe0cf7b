"""The scales of experiments: for a test, for two cores, or as in the paper."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from wskan.errors import DataError
from wskan.experiments.engine.classifier_scale import CLASSIFIER_SCALES, ClassifierScale
from wskan.tasks import TrainConfig
from wskan.zoo import Recipe, get_recipe

IMAGES = ("mnist", "fashion-mnist", "cifar10")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes and hyperparameters, the same for every method.

    The names of the fields are part of the hash of a protocol.

    Args:
        name: the name of the scale.
        datasets: images whose KANs are classified.
        suffix: end of the names of the recipes; ``"-constant"`` for the paper's constant learning rate of KANs.
        counts: numbers of training, validation and test KANs of a zoo of images; zoos of waves follow their recipe.
        wide_test: number of test KANs of each of the wider zoos of table 2.
        widths: hidden widths of the KANs of these zoos.
        samples: numbers of training KANs of figure 8.
        hidden: hidden dimension of the models.
        num_layers: number of layers of the models.
        dropout: dropout of the models.
        inducing: inducing points of the SetTransformer; 0 for attention between all edges.
        set_transformer: data sets and number of seeds that the SetTransformer is trained on; None for all.
        waves: epochs, batch size and learning rate of figure 8.
        training: all other settings of training.
        rates: learning rates to choose from, on the validation split.
        seeds: seeds of the runs.
        timing: numbers of training KANs, test KANs and epochs that table 11 measures.
        recipe_changes: other changes of the recipes, for tests.
        classifiers: the same for zoos of classifiers.
        tuned: by method, the fields of the scale that differ for it.
    """

    name: str
    datasets: tuple[str, ...] = IMAGES
    suffix: str = ""
    counts: tuple[int, int, int]
    wide_test: int
    widths: tuple[int, ...] = (48, 64, 80, 96)
    samples: tuple[int, ...] = (100, 200, 500, 800)
    hidden: int
    num_layers: int = 4
    dropout: float = 0.2
    inducing: int = 0
    set_transformer: tuple[tuple[str, ...], int] | None = None
    waves: TrainConfig
    training: TrainConfig
    rates: tuple[float, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    timing: tuple[int, int, int]
    recipe_changes: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    classifiers: ClassifierScale
    tuned: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict, hash=False, compare=False)

    @property
    def compares_best_models(self) -> bool:
        """Return whether the best models compete with the paper's baselines, instead of the paper's WS-KAN."""
        return self.name == "full"

    def of(self, method: str) -> Scale:
        """Return the scale with the changes for a method."""
        changes = self.tuned.get(method)
        return self if changes is None else dataclasses.replace(self, **changes)

    def settings(self) -> dict[str, Any]:
        """Return all fields as plain types, to be hashed.

        Fields that were added after the first results are left out where they have their default: the hash stays.
        """
        settings = dataclasses.asdict(self)
        later = [(settings, "tuned", {}), (settings["classifiers"], "scores", False)]
        for fields, name, default in later:
            if fields[name] == default:
                del fields[name]
        return settings

    def recipe(self, dataset: str, variant: str = "") -> Recipe:
        """Return the recipe of the zoo of a data set, or of a variant of it such as ``"rbf"``.

        Raises:
            DataError: if no recipe has that name.
        """
        recipe = get_recipe(f"{dataset}-inr-{variant}" if variant else f"{dataset}-inr{self.suffix}")
        counts = dict(zip(("train", "val", "test"), self.counts, strict=True)) if dataset != "sine" else {}
        changes = {**counts, **self.recipe_changes}
        fit = dataclasses.replace(recipe.fit, **changes.pop("fit", {}))
        return dataclasses.replace(recipe, fit=fit, **changes)

    def with_shape(self, dataset: str, hidden: tuple[int, ...]) -> Recipe:
        """Return a recipe of KANs with other hidden widths or depth, for the first images of the test split only."""
        recipe = self.recipe(dataset)
        spec = dataclasses.replace(recipe.spec, widths=(recipe.spec.widths[0], *hidden, recipe.spec.widths[-1]))
        return dataclasses.replace(recipe, spec=spec, train=0, val=0, test=self.wide_test)


_PAPER = TrainConfig(epochs=300, batch_size=128, lr=1e-3, weight_decay=0.01, warmup_steps=100, patience=0)
_CPU = dataclasses.replace(_PAPER, epochs=40, batch_size=64, precision="bf16")
_SMOKE = dataclasses.replace(_PAPER, epochs=2, batch_size=16, warmup_steps=2)

SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            datasets=("digits",),
            counts=(48, 16, 16),
            wide_test=16,
            widths=(12, 16),
            samples=(16, 48),
            hidden=16,
            num_layers=2,
            inducing=4,
            waves=_SMOKE,
            training=_SMOKE,
            rates=(1e-3, 1e-4),
            seeds=(0, 1),
            timing=(32, 16, 2),
            recipe_changes={"fit": {"steps": 30}, "train": 48, "val": 16, "test": 16},
            classifiers=CLASSIFIER_SCALES["smoke"],
        ),
        Scale(
            name="cpu",
            counts=(3_500, 500, 1_000),
            wide_test=200,
            hidden=32,
            inducing=16,
            set_transformer=(("mnist", "sine"), 1),
            waves=dataclasses.replace(_CPU, epochs=100, batch_size=16),
            training=_CPU,
            rates=(2e-3,),
            timing=(512, 512, 10),
            classifiers=CLASSIFIER_SCALES["cpu"],
        ),
        Scale(
            name="full",
            counts=(10_000, 5_000, 10_000),
            wide_test=500,
            hidden=32,
            waves=dataclasses.replace(_CPU, epochs=100, batch_size=16),
            training=_CPU,
            rates=(2e-3,),
            timing=(512, 512, 10),
            classifiers=CLASSIFIER_SCALES["full"],
            tuned={
                "weights": {"hidden": 64, "training": dataclasses.replace(_CPU, epochs=60)},
                "probes": {"hidden": 64, "training": dataclasses.replace(_CPU, epochs=40)},
            },
        ),
        Scale(
            name="paper",
            suffix="-constant",
            counts=(10_000, 5_000, 10_000),
            wide_test=10_000,
            hidden=128,
            waves=dataclasses.replace(_PAPER, epochs=200),
            training=_PAPER,
            rates=(1e-3, 1e-4),
            timing=(10_000, 10_000, 10),
            classifiers=CLASSIFIER_SCALES["paper"],
        ),
    )
}

ScaleName = Literal["smoke", "cpu", "full", "paper"]


def get_scale(name: str) -> Scale:
    """Return a scale by name.

    Raises:
        DataError: if no scale has that name.
    """
    if name not in SCALES:
        raise DataError(f"no scale {name!r:.100}; there are {', '.join(SCALES)}")
    return SCALES[name]
