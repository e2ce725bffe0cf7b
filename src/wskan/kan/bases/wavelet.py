"""Mexican-hat wavelets, as in Wav-KAN."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wskan.kan.bases.interval import OnInterval

HAT: float = 2 / (math.sqrt(3) * math.pi**0.25)  # gives a norm of 1


class Wavelets(OnInterval):
    """Mexican hats psi((x - b) / a) at dyadic dilations a and translations b on the domain.

    Here psi(t) = 2 / (sqrt(3) pi^(1/4)) (1 - t^2) exp(-t^2 / 2). At dilation j = 0, ..., k the hats are at the ends of
    G 2^j equal intervals, and a is the length of one. Wav-KAN (Bozorgasl and Chen 2024, arXiv:2405.12832) learns one a
    and b for each edge. In this fixed dictionary the functions stay linear in their coefficients.
    """

    name = "wavelet"

    @property
    def size(self) -> int:
        return sum(self._intervals) + self.degree + 1

    @property
    def _intervals(self) -> list[int]:
        """Return the number of intervals of each dilation."""
        return [self.grid << level for level in range(self.degree + 1)]

    def invalid_reason(self) -> str | None:
        return None if self.degree <= 6 else f"degree counts dilations after the first, at most 6, got {self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        t = self._places(x, knots)[0]
        return HAT * (1 - t.square()) * torch.exp(-t.square() / 2)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        t, rate = self._places(x, knots)
        return HAT * t * (t.square() - 3) * torch.exp(-t.square() / 2) * rate

    def _places(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x - b) / a and 1 / a for each function."""
        u, slope = self._place(x, knots)
        parts = [torch.linspace(-n / 2, n / 2, n + 1, device=u.device, dtype=u.dtype) for n in self._intervals]
        half = torch.cat([torch.full_like(part, n / 2) for part, n in zip(parts, self._intervals, strict=True)])
        return u * half - torch.cat(parts), slope * half

    def init_coefficients(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Draw coefficients uniformly in +-noise_scale/sqrt(in C).

        Wav-KAN draws its single weight per edge in +-1/sqrt(in); here this is divided by the root of their number C.
        """
        return (
            noise_scale
            * (torch.rand(n_in, n_out, self.size, generator=generator, dtype=torch.float32) * 2 - 1)
            / math.sqrt(n_in * self.size)
        )

    def mirror(self, coef: Tensor) -> Tensor:
        parts = torch.split(coef, [n + 1 for n in self._intervals], -1)
        return torch.cat([part.flip(-1) for part in parts], -1)
