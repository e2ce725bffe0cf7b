"""How a model is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from wskan.errors import DataError
from wskan.tasks.augmentation import SYMMETRIES, Symmetry

Precision = Literal["32", "bf16"]  # single, or automatic mixed precision


def check_precision(precision: str) -> None:
    """Raise DataError unless it is one of :data:`Precision`."""
    if precision not in get_args(Precision):
        raise DataError(f"precision must be one of {', '.join(map(repr, get_args(Precision)))}, got {precision!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained: AdamW, linear schedule with warm-up (paper, appendix C). Clipping and early stopping are ours.

    Args:
        epochs: passes over the training split.
        batch_size: graphs a step.
        lr: highest learning rate.
        weight_decay: of AdamW.
        warmup_steps: steps of linear warm-up; afterwards the rate falls linearly to zero.
        gradient_clip: largest norm of the gradient.
        patience: stop after this many epochs without a better validation score; 0 for never.
        precision: ``"32"``, or ``"bf16"`` for automatic mixed precision.
        compile: run the model through ``torch.compile``; needs a compiler and a minute or two at the start.
        augment: symmetries, noise, and moves of the inputs, drawn anew for each training KAN each time it is seen; see :func:`wskan.tasks.augmentation.augment` and
            :func:`wskan.tasks.augmentation.input_map`.
        seed: of initial weights, dropout, augmentation and the order of batches.

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
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value < 2**32:
                raise DataError(f"TrainConfig: {name} must be a whole number of at least {low}, got {value!r}")
        if not 0 < self.lr < 10 or not 0 <= self.weight_decay < 10 or not self.gradient_clip > 0:
            raise DataError(
                f"TrainConfig: lr {self.lr}, weight_decay {self.weight_decay} or gradient_clip {self.gradient_clip} is out of range"
            )
        check_precision(self.precision)
        if not isinstance(self.compile, bool):
            raise DataError(f"TrainConfig: compile must be a bool, got {self.compile!r}")
        names = list(self.augment) if isinstance(self.augment, tuple | list) else [None]
        if any(name not in SYMMETRIES or names.count(name) > 1 for name in names):
            raise DataError(f"TrainConfig: augment must be some of {SYMMETRIES}, each once, got {self.augment!r:.200}")
        object.__setattr__(self, "augment", tuple(self.augment))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`."""
        return {**dataclasses.asdict(self), "augment": list(self.augment)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Read a configuration from JSON types.

        Raises:
            DataError: unknown keys, wrong types, or values out of range.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise DataError(f"malformed training configuration {data!r:.200}: {error}") from error
