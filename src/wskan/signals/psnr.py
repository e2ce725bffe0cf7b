"""Peak signal-to-noise ratio."""

from __future__ import annotations

from torch import Tensor


def psnr(squared_error: Tensor, peak: float = 1.0) -> Tensor:
    """Compute the peak signal-to-noise ratio ``10 log10(peak^2 / mse)`` in dB.

    Args:
        squared_error: ``[...]`` mean squared error over all pixels and channels of each signal.
        peak: the range of the signal, 1 for images in [0, 1] and 2 for waves in [-1, 1].
    """
    return 10 * (peak**2 / squared_error.clamp_min(1e-20)).log10()
