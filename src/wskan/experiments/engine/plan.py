"""A training run of an experiment, under a name that prevents training it twice."""

from __future__ import annotations

import dataclasses
from typing import Any

from wskan.experiments.engine.classifier_scale import TASKS, Problem
from wskan.experiments.engine.methods import METHODS, MIRRORED, saved_name
from wskan.experiments.engine.scale import Scale
from wskan.files import digest
from wskan.graph import FeatureConfig
from wskan.models import ModelConfig
from wskan.tasks import Task, TrainConfig, get_task, model_config
from wskan.zoo import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A method on a data set, with a learning rate and a seed.

    Args:
        scale: all other settings.
        dataset: name of images, or ``"sine"``.
        method: key in :data:`wskan.experiments.METHODS`.
        lr: learning rate.
        seed: seed of the run.
        train_limit: number of training KANs, if not all.
        problem: what is learned: the class of an image, the accuracy of a classifier or its pruning mask.
        hidden: hidden dimension of the model, if not that of the scale.
        num_layers: number of layers of the model, if not that of the scale.
        variant: variant of the zoo of INRs, see :meth:`Scale.recipe`.
    """

    scale: Scale
    dataset: str
    method: str
    lr: float
    seed: int
    train_limit: int | None = None
    problem: Problem = "inr"
    hidden: int | None = None
    num_layers: int | None = None
    variant: str = ""

    @property
    def recipe(self) -> Recipe:
        """Return the recipe of the zoo."""
        if self.problem != "inr":
            return self.scale.classifiers.recipe(self.dataset)
        return self.scale.recipe(self.dataset, self.variant)

    @property
    def task(self) -> Task:
        """Return the task."""
        own = METHODS[self.method].task
        return get_task(own or ("frequency-regression" if self.dataset == "sine" else TASKS[self.problem]))

    @property
    def features(self) -> FeatureConfig:
        """Return the description of a KAN that the method reads: eq. 5 or another."""
        return METHODS[self.method].features

    @property
    def model(self) -> ModelConfig:
        """Return the configuration of the model."""
        method, spec, scale = METHODS[self.method], self.recipe.spec, self.scale
        options = dict(method.options)
        if method.model == "set_transformer":
            options["inducing"] = scale.inducing
        if method.model == "image_cnn":
            options["mirror"] = self.dataset in MIRRORED
        return model_config(
            method.model,
            spec,
            self.task,
            self.features,
            hidden=self.hidden or scale.hidden,
            num_layers=self.num_layers or scale.num_layers,
            dropout=scale.dropout,
            **options,
        )

    @property
    def training(self) -> TrainConfig:
        """Return the configuration of training."""
        base = self.scale.waves if self.dataset == "sine" else self.scale.training
        if self.problem != "inr":
            base = self.scale.classifiers.search(self.problem).training
        unfit = ("affine", "mirror") if self.problem != "inr" else () if self.dataset in MIRRORED else ("mirror",)
        augment = tuple(name for name in METHODS[self.method].augment if name not in unfit)
        return dataclasses.replace(base, lr=self.lr, seed=self.seed, augment=augment)

    @property
    def graphs(self) -> int:
        """Return the number of training KANs per epoch."""
        return self.train_limit or self.recipe.train

    @property
    def config(self) -> dict[str, Any]:
        """Return the entry ``asked`` of the run's record, without the zoo's digest, which an alignment changes."""
        return {
            "task": self.task.name,
            "model": self.model.to_dict(),
            "features": self.features.to_dict(),
            "train": self.training.to_dict(),
            "spec": self.recipe.spec.to_dict(),
            "train_limit": self.train_limit,
        }

    @property
    def name(self) -> str:
        """Return a readable name, which is also the folder of the run: it hashes all that the run depends on."""
        aligned = alignment(self.recipe) if METHODS[self.method].aligned else None
        everything = {**self.config, "recipe": self.recipe.digest, "aligned": aligned}
        limit = f"-n{self.train_limit}" if self.train_limit else ""
        method = f"{saved_name(self.method)}{limit}"
        return f"{self.dataset}{self._kind('-')}/{method}-lr{self.lr:g}-seed{self.seed}-{digest(everything, 8)}"

    def _kind(self, before: str) -> str:
        """Return the words for a problem or variant that is not the default, each after ``before``."""
        names = [*([] if self.problem == "inr" else [self.problem]), *([self.variant] if self.variant else [])]
        return "".join(f"{before}{name}" for name in names)

    def __str__(self) -> str:
        limit = f", {self.train_limit} KANs" if self.train_limit else ""
        sizes = (("hidden", self.hidden), ("layers", self.num_layers))
        size = "".join(f", {name} {value}" for name, value in sizes if value)
        method = f"{METHODS[self.method].label} on {self.dataset}{self._kind(' ')}"
        return f"{method}{limit}, rate {self.lr:g}{size}, seed {self.seed}"


def alignment(recipe: Recipe) -> dict[str, Any]:
    """Return arguments of :func:`wskan.align.align_zoo` (appendix D.1).

    MergeMany runs on at most 1,000 training KANs, to a tolerance of 0.001.
    """
    return {"subset": min(1000, recipe.train), "tolerance": 1e-3, "seed": 0}
