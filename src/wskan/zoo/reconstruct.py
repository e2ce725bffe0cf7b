"""What the KANs of a zoo represent, beside what they were to represent."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from wskan.zoo.store import Zoo
from wskan.zoo.targets import load_signals


def reconstruct(zoo: Zoo, rows: Tensor, data_root: Path | str | None = None) -> tuple[Tensor, Tensor]:
    """Originals and reconstructions of some KANs, ``[n, H, W, C]`` float32 each.

    Raises:
        DataError: the data that the zoo was made from is missing, or its KANs are classifiers.
    """
    signals = load_signals(zoo.recipe, data_root)
    shape = (len(rows), *signals.shape)
    return signals.values(rows).view(shape), zoo.population(rows)(signals.inputs).view(shape)
