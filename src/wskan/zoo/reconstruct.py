"""The signals that the KANs of a zoo represent, next to the originals."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from wskan.zoo.store import Zoo
from wskan.zoo.targets import load_signals


def reconstruct(zoo: Zoo, rows: Tensor, data_root: Path | str | None = None) -> tuple[Tensor, Tensor]:
    """Evaluate KANs at every pixel, and load the signals that they were trained on.

    Args:
        zoo: zoo of implicit neural representations.
        rows: rows of the KANs, ``[n]``.
        data_root: folder of the data sets; see :func:`wskan.signals.load_images`.

    Returns:
        Originals and reconstructions, ``[n, H, W, C]`` float32 each.

    Raises:
        DataError: the data of the zoo is missing, or its KANs are classifiers.
    """
    signals = load_signals(zoo.recipe, data_root)
    shape = (len(rows), *signals.shape)
    return signals.values(rows).view(shape), zoo.population(rows)(signals.inputs).view(shape)
