"""B-splines (paper, appendix B)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from wskan.kan.bases.base import Basis
from wskan.kan.spline import bspline_basis, bspline_slope, extend_knots, greville_abscissae

KERNEL_DEGREES = range(1, 6)  # the degrees instantiated in csrc/kernel.cpp


class BSplines(Basis):
    """B-splines of degree k on G intervals (Liu et al. 2025; paper, appendix B).

    There are G + k functions, and k more knots beyond each end of the domain.
    """

    name = "bspline"
    noise_scale = 0.3
    adapts = True

    @property
    def size(self) -> int:
        return self.grid + self.degree

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        return bspline_basis(x, knots, self.degree)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        return bspline_slope(x, knots, self.degree)

    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw coefficients as pykan 0.2.8 does.

        They are the minimum-norm coefficients that interpolate noise in [-noise_scale/2G, noise_scale/2G] at the inner
        knots.
        """
        noise = (torch.rand(self.grid + 1, n_in, n_out, generator=generator, dtype=torch.float32) - 0.5) * (
            noise_scale / self.grid
        )
        return (self._interpolate @ noise.flatten(1)).T.view(n_in, n_out, -1)

    def inverse_init_scale(self, n_in: int) -> float:
        return float(n_in**0.5)

    @functools.cached_property
    def _interpolate(self) -> Tensor:
        """Return the matrix ``[G+k, G+1]`` that maps values at the inner knots to coefficients."""
        knots = self.knots()
        inverse: Tensor = torch.linalg.pinv(self.values(self.inner(knots).double(), knots.double()))
        return inverse.float()

    def kernel_invalid_reason(self) -> str | None:
        if self.degree in KERNEL_DEGREES:
            return None
        return f"degree {self.degree} is not one of {list(KERNEL_DEGREES)}"

    @property
    def num_extra_knots(self) -> int:
        return self.degree

    def extend(self, inner: Tensor) -> Tensor:
        return extend_knots(inner, self.degree)

    def constant_coefficients(self) -> Tensor:
        return torch.ones(self.size, dtype=torch.float32)

    def constant_part(self, coef: Tensor) -> Tensor:
        return coef.mean(-1, keepdim=True)

    def mirror(self, coef: Tensor) -> Tensor:
        return coef.flip(-1)

    def identity_coefficients(self, knots: Tensor) -> Tensor | None:
        return greville_abscissae(knots, self.degree) if self.degree > 0 else None
