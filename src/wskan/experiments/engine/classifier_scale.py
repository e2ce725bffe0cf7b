"""The scales of experiments on classifiers (paper, C.2 and C.3)."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from wskan.tasks import TrainConfig
from wskan.zoo import Recipe, get_recipe
from wskan.zoo.recipe import Storage

Problem = Literal["inr", "accuracy", "pruning"]
TASKS: dict[Problem, str] = {
    "inr": "inr-classification",
    "accuracy": "accuracy-prediction",
    "pruning": "pruning-mask",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Hyperparameters to choose from on the validation split, and settings of training.

    All combinations are tried. The names of the fields are part of the hash of a protocol.

    Args:
        rates: learning rates to choose from.
        hidden: hidden dimensions to choose from.
        num_layers: numbers of layers to choose from.
        training: all other settings of training.
    """

    rates: tuple[float, ...]
    hidden: tuple[int, ...]
    num_layers: tuple[int, ...] = (4,)
    training: TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierScale:
    """Sizes and hyperparameters, the same for every method.

    The names of the fields are part of the hash of a protocol.

    Args:
        datasets: images that KANs classify.
        counts: numbers of training, validation and test KANs of a zoo.
        storage: type of their weights in files.
        scores: whether zoos keep the oracle's scores.
        accuracy: hyperparameters of accuracy prediction.
        pruning: hyperparameters of pruning.
        shown: number of test KANs of figures 5 and 9.
        recipe_changes: other changes of the recipes, for tests.
    """

    datasets: tuple[str, ...] = ("mnist", "fashion-mnist", "kmnist")
    counts: tuple[int, int, int]
    storage: Storage = "float32"
    scores: bool = False
    accuracy: Search
    pruning: Search
    shown: int = 100
    recipe_changes: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def recipe(self, dataset: str) -> Recipe:
        """Return the recipe of the zoo of a data set.

        Raises:
            DataError: if no recipe has that name.
        """
        recipe = get_recipe(f"{dataset}-classifier")
        assert recipe.classifier is not None
        changes = dict(self.recipe_changes)
        fit = dataclasses.replace(recipe.fit, **changes.pop("fit", {}))
        classifier = dataclasses.replace(recipe.classifier, storage=self.storage, scores=self.scores)
        train, val, test = self.counts
        return dataclasses.replace(recipe, fit=fit, classifier=classifier, train=train, val=val, test=test, **changes)

    def search(self, problem: Problem) -> Search:
        """Return the hyperparameters for a problem."""
        return self.accuracy if problem == "accuracy" else self.pruning


_PAPER = TrainConfig(epochs=100, batch_size=32, lr=1e-3, weight_decay=0.01, warmup_steps=100, patience=0)
_CPU = Search(rates=(2e-3,), hidden=(32,), training=dataclasses.replace(_PAPER, epochs=30, precision="bf16"))
_SMOKE = Search(
    rates=(1e-3,),
    hidden=(16,),
    num_layers=(2,),
    training=dataclasses.replace(_PAPER, epochs=2, batch_size=8, warmup_steps=2),
)

CLASSIFIER_SCALES: dict[str, ClassifierScale] = {
    "smoke": ClassifierScale(
        datasets=("digits",),
        counts=(16, 8, 8),
        storage="float16",
        accuracy=_SMOKE,
        pruning=_SMOKE,
        shown=6,
        recipe_changes={"fit": {"steps": 30}},
    ),
    "cpu": ClassifierScale(counts=(1_000, 200, 500), storage="float16", accuracy=_CPU, pruning=_CPU),
    "full": ClassifierScale(
        counts=(3_000, 500, 500),
        storage="float16",
        scores=True,
        accuracy=dataclasses.replace(_CPU, training=dataclasses.replace(_CPU.training, epochs=20)),
        pruning=dataclasses.replace(_CPU, training=dataclasses.replace(_CPU.training, epochs=15)),
    ),
    "paper": ClassifierScale(
        counts=(3_000, 500, 500),
        accuracy=Search(rates=(1e-3, 5e-3, 1e-4), hidden=(128, 32), num_layers=(4, 1), training=_PAPER),  # table 5
        pruning=Search(rates=(1e-3, 1e-4), hidden=(128,), training=dataclasses.replace(_PAPER, epochs=15)),  # C.3.2
    ),
}
