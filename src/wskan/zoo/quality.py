"""The quality of the KANs of a zoo in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)


def quality(columns: Mapping[str, Tensor], masks: Sequence[Tensor]) -> dict[str, Any]:
    """Summarise PSNR, accuracy, noise and pruning masks, if there are any.

    Args:
        columns: columns of the zoo, ``[n]`` each.
        masks: pruning masks of each layer, ``[n, n_l, n_{l+1}]`` bool; empty for a zoo without masks.

    Returns:
        For each column NAME of ``psnr`` (dB), ``accuracy`` and ``noise``, ``NAME_mean`` and ``NAME_quantiles``. Also
        ``psnr_above_40`` and ``kept_mean``, shares of KANs and of edges.
    """
    summary: dict[str, Any] = {}
    for name in ("psnr", "accuracy", "noise"):
        if name in columns:
            column = columns[name].float()  # whole numbers have no quantiles
            quantiles = {str(q): float(column.quantile(q)) for q in QUANTILES}
            summary |= {f"{name}_mean": float(column.mean()), f"{name}_quantiles": quantiles}
    if "psnr" in columns:
        summary["psnr_above_40"] = float((columns["psnr"] > 40).float().mean())
    if masks:
        kept = sum(int(mask.sum()) for mask in masks)
        summary["kept_mean"] = kept / sum(mask.numel() for mask in masks)
    return summary
