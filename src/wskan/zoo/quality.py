"""The quality of the KANs of a zoo in a few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wskan.zoo.store import Zoo

QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)


def quality(zoo: Zoo) -> dict[str, Any]:
    """Summarise PSNR, accuracy, noise and pruning masks, if the zoo has them.

    Returns:
        For each column NAME of ``psnr`` (dB), ``accuracy`` and ``noise``, ``NAME_mean`` and ``NAME_quantiles``. Also
        ``psnr_above_40`` and ``kept_mean``, shares of KANs and of edges.

    Raises:
        DataError: masks are damaged.
    """
    summary: dict[str, Any] = {}
    for name in ("psnr", "accuracy", "noise"):
        if name in zoo.columns:
            column = zoo.columns[name].float()  # whole numbers have no quantiles
            quantiles = {str(q): float(column.quantile(q)) for q in QUANTILES}
            summary |= {f"{name}_mean": float(column.mean()), f"{name}_quantiles": quantiles}
    if "psnr" in zoo.columns:
        summary["psnr_above_40"] = float((zoo.columns["psnr"] > 40).float().mean())
    if zoo.has_masks:
        kept = sum(int(mask.sum()) for mask in zoo.masks(slice(None)))
        summary["kept_mean"] = kept / (len(zoo) * zoo.spec.num_edges)
    return summary
