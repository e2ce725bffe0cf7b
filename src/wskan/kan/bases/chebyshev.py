"""Chebyshev polynomials, as in ChebyKAN."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.kan.bases.interval import ConstantFirst


class Chebyshev(ConstantFirst):
    """Chebyshev polynomials T_0, ..., T_k of tanh(u) as in ChebyKAN, with u from -1 to 1 on the domain.

    On [-1, 1] this is tanh(x), as in ChebyKAN. There are no intervals: ``grid=1``, and the knots are the ends of the
    domain. ChebyKAN has no residual activation (``base="zero"``) and no spline weight (initially 1 here).
    """

    name = "chebyshev"

    @property
    def size(self) -> int:
        return self.degree + 1

    def invalid_reason(self) -> str | None:
        return None if self.grid == 1 else f"Chebyshev polynomials have no intervals: set grid=1, not {self.grid}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        t = self._place(x, knots)[0].tanh()
        terms = [torch.ones_like(t), t]
        for _ in range(2, self.size):
            terms.append(2 * t * terms[-1] - terms[-2])
        return torch.cat(terms[: self.size], -1)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        """Evaluate T_j' = j U_{j-1}, with polynomials U of the second kind."""
        u, slope = self._place(x, knots)
        t = u.tanh()
        second = [torch.zeros_like(t), torch.ones_like(t)]
        for _ in range(2, self.size):
            second.append(2 * t * second[-1] - second[-2])
        order = torch.arange(self.size, device=t.device, dtype=t.dtype)
        return torch.cat(second[: self.size], -1) * order * (1 - t * t) * slope

    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw coefficients as ChebyKAN does: normal with standard deviation noise_scale / (in (k + 1))."""
        return noise_scale * self._normal(n_in, n_out, generator) / (n_in * self.size)

    def mirror(self, coef: Tensor) -> Tensor:
        return coef * (1 - 2 * (torch.arange(self.size, device=coef.device) % 2))
