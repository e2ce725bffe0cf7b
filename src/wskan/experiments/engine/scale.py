"""How large an experiment is: for a test, for two cores, or as in the paper."""

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

    Args:
        name: of the scale.
        datasets: images whose KANs are classified.
        suffix: of the recipes: ``"-constant"`` for the paper's constant learning rate of KANs.
        counts: training, validation and test KANs of a zoo of images; those of waves are the recipe's.
        wide_test: test KANs of each of the wider zoos of table 2.
        widths: their hidden widths.
        samples: numbers of training KANs of figure 8.
        hidden, num_layers, dropout: of the models.
        inducing: inducing points of the SetTransformer; 0 for attention between all edges.
        set_transformer: data sets and number of seeds that it is trained on; None for all.
        waves: epochs, batch size and learning rate of figure 8.
        training: everything else about training.
        rates: learning rates to choose from, on the validation split.
        seeds: of the runs.
        timing: training KANs, test KANs and epochs that table 11 measures.
        recipe_changes: what else is changed in a recipe, for tests.
        classifiers: the same for zoos of classifiers.
        tuned: by method, fields of the scale that differ for it.
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

    def of(self, method: str) -> Scale:
        """Give the scale as it is for a method."""
        changes = self.tuned.get(method)
        return self if changes is None else dataclasses.replace(self, **changes)

    def settings(self) -> dict[str, Any]:
        """List everything in it as plain types; without what no scale had when the first results were made, where it is as it was then."""
        settings = dataclasses.asdict(self)
        later = [(settings, "tuned", {}), (settings["classifiers"], "scores", False)]
        for place, name, default in later:
            if place[name] == default:
                del place[name]
        return settings

    def recipe(self, dataset: str, variant: str = "") -> Recipe:
        """Of the zoo of a data set, or of that variant of it which ends its name: ``"rbf"``.

        Raises:
            DataError: there is none of that name.
        """
        recipe = get_recipe(f"{dataset}-inr-{variant}" if variant else f"{dataset}-inr{self.suffix}")
        counts = dict(zip(("train", "val", "test"), self.counts, strict=True)) if dataset != "sine" else {}
        changes = {**counts, **self.recipe_changes}
        fit = dataclasses.replace(recipe.fit, **changes.pop("fit", {}))
        return dataclasses.replace(recipe, fit=fit, **changes)

    def reshaped(self, dataset: str, hidden: tuple[int, ...]) -> Recipe:
        """Of test KANs only, of other hidden widths or depth, of the first images of the test split."""
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
    """A scale by name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in SCALES:
        raise DataError(f"no scale {name!r:.100}; there are {', '.join(SCALES)}")
    return SCALES[name]
