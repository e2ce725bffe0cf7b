"""One training run of an experiment, described so that the same one is never trained twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from wskan.experiments.engine.classifier_scale import TASKS, Problem
from wskan.experiments.engine.methods import METHODS, MIRRORED
from wskan.experiments.engine.scale import Scale
from wskan.graph import FeatureConfig
from wskan.models import ModelConfig
from wskan.tasks import Task, TrainConfig, get_task, model_config
from wskan.zoo import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A method on a data set, with a learning rate and a seed.

    Args:
        scale: gives all else.
        dataset: name of images, or ``"sine"``.
        method: in :data:`wskan.experiments.METHODS`.
        rate: learning rate.
        seed: of the run.
        samples: training KANs, if not all.
        problem: what is learned: from which representation, or which accuracy, or which mask.
        hidden, num_layers: of the model, if not those of the scale.
        variant: of the zoo of INRs, see :meth:`Scale.recipe`.
    """

    scale: Scale
    dataset: str
    method: str
    rate: float
    seed: int
    samples: int | None = None
    problem: Problem = "inr"
    hidden: int | None = None
    num_layers: int | None = None
    variant: str = ""

    @property
    def recipe(self) -> Recipe:
        """Of the zoo."""
        if self.problem != "inr":
            return self.scale.classifiers.recipe(self.dataset)
        return self.scale.recipe(self.dataset, self.variant)

    @property
    def task(self) -> Task:
        """What is learned."""
        own = METHODS[self.method].task
        return get_task(own or ("frequency-regression" if self.dataset == "sine" else TASKS[self.problem]))

    @property
    def features(self) -> FeatureConfig:
        """What describes a KAN: eq. 5, or what the method reads instead."""
        return METHODS[self.method].features

    @property
    def model(self) -> ModelConfig:
        """Configuration of the model."""
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
        """How it is trained."""
        base = self.scale.waves if self.dataset == "sine" else self.scale.training
        if self.problem != "inr":
            base = self.scale.classifiers.search(self.problem).training
        unfit = ("affine", "mirror") if self.problem != "inr" else () if self.dataset in MIRRORED else ("mirror",)
        augment = tuple(name for name in METHODS[self.method].augment if name not in unfit)
        return dataclasses.replace(base, lr=self.rate, seed=self.seed, augment=augment)

    @property
    def graphs(self) -> int:
        """Training KANs an epoch."""
        return self.samples or self.recipe.train

    @property
    def asked(self) -> dict[str, Any]:
        """What the record of the run says was asked for, as JSON types (without the zoo's digest, which an alignment changes)."""
        return {
            "task": self.task.name,
            "model": self.model.to_dict(),
            "features": self.features.to_dict(),
            "train": self.training.to_dict(),
            "spec": self.recipe.spec.to_dict(),
            "train_limit": self.samples,
        }

    @property
    def name(self) -> str:
        """Readable, and unique to all that the run depends on: where it is kept."""
        aligned = alignment(self.recipe) if METHODS[self.method].aligned else None
        everything = {**self.asked, "recipe": self.recipe.digest, "aligned": aligned}
        digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:8]
        samples = f"-n{self.samples}" if self.samples else ""
        return f"{self.dataset}{self._kind('-')}/{self.method}{samples}-lr{self.rate:g}-seed{self.seed}-{digest}"

    def _kind(self, before: str) -> str:
        """What is unusual about the task or the KANs."""
        names = [*([] if self.problem == "inr" else [self.problem]), *([self.variant] if self.variant else [])]
        return "".join(f"{before}{name}" for name in names)

    def __str__(self) -> str:
        samples = f", {self.samples} KANs" if self.samples else ""
        size = "".join(
            f", {name} {value}" for name, value in (("hidden", self.hidden), ("layers", self.num_layers)) if value
        )
        return f"{METHODS[self.method].label} on {self.dataset}{self._kind(' ')}{samples}, rate {self.rate:g}{size}, seed {self.seed}"


def alignment(recipe: Recipe) -> dict[str, Any]:
    """Arguments of :func:`wskan.align.align_zoo` (appendix D.1): MergeMany on at most 1,000 training KANs, to a tolerance of 0.001."""
    return {"subset": min(1000, recipe.train), "tolerance": 1e-3, "seed": 0}
