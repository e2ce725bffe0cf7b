"""The configuration of a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from wskan.errors import DataError
from wskan.reading import boolean, build, number, shown, whole
from wskan.tasks.augmentation import SYMMETRIES, Symmetry

Precision = Literal["32", "bf16"]  # single, or automatic mixed precision


def check_precision(precision: str) -> None:
    """Raise a DataError unless ``precision`` is one of :data:`Precision`."""
    if precision not in get_args(Precision):
        raise DataError(f"precision must be one of {', '.join(map(repr, get_args(Precision)))}, got {shown(precision)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The configuration of a training with AdamW and a linear schedule with warm-up (paper, appendix C).

    Gradient clipping and early stopping are not in the paper.

    Args:
        epochs: passes over the training split.
        batch_size: graphs per step.
        lr: highest learning rate.
        weight_decay: weight decay of AdamW.
        warmup_steps: steps of linear warm-up. Afterwards the learning rate falls linearly to zero.
        gradient_clip: largest norm of the gradient.
        patience: stop after this many epochs without a better validation score; 0 means never.
        precision: ``"32"``, or ``"bf16"`` for automatic mixed precision.
        compile: run the model through ``torch.compile``. It needs a compiler, and a minute or two at the start.
        augment: changes that are drawn at random for each training KAN each time it is used. See
            :func:`wskan.tasks.augmentation.augment` and :func:`wskan.tasks.augmentation.input_map`.
        seed: seed of the initial weights, dropout, augmentation and the order of batches.

    Raises:
        DataError: a value is out of range.
    """

    epochs: int = 300
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    patience: int = 50
    precision: Precision = "32"
    compile: bool = False
    augment: tuple[Symmetry, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1), ("warmup_steps", 0), ("patience", 0), ("seed", 0)):
            whole(getattr(self, name), f"TrainConfig: {name}", low, 2**32 - 1)
        for name, least, most in (("lr", 1e-30, 10), ("weight_decay", 0, 10), ("gradient_clip", 1e-30, math.inf)):
            number(getattr(self, name), f"TrainConfig: {name}", least, most)
        check_precision(self.precision)
        boolean(self.compile, "TrainConfig: compile")
        names = list(self.augment) if isinstance(self.augment, tuple | list) else [None]
        if any(name not in SYMMETRIES or names.count(name) > 1 for name in names):
            raise DataError(f"TrainConfig: augment must be some of {SYMMETRIES}, each once, got {shown(self.augment)}")
        object.__setattr__(self, "augment", tuple(self.augment))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain JSON types, the inverse of :meth:`from_dict`."""
        return {**dataclasses.asdict(self), "augment": list(self.augment)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Read a configuration from JSON types.

        Raises:
            DataError: unknown keys, wrong types, or values out of range.
        """
        return build(cls, data, "training configuration")
