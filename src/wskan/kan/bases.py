"""The bases that KANs are written in: B-splines, and what FastKAN, ChebyKAN, FourierKAN and Wav-KAN put in their place."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from wskan.kan.basis import Basis
from wskan.kan.spline import bspline_basis, bspline_slope, extend_knots, greville_abscissae

KERNEL_DEGREES = range(1, 6)  # of B-splines, those instantiated in csrc/kernel.cpp


class BSplines(Basis):
    """B-splines of degree k on G intervals (Liu et al. 2025; paper, appendix B): G + k functions, k more knots beyond each end of the domain."""

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

    def initial(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """As pykan 0.2.8: minimum-norm coefficients that interpolate noise in [-noise_scale/2G, noise_scale/2G] at the inner knots."""
        noise = (torch.rand(self.grid + 1, n_in, n_out, generator=generator, dtype=torch.float32) - 0.5) * (
            noise_scale / self.grid
        )
        return (self._interpolate @ noise.flatten(1)).T.view(n_in, n_out, -1)

    def initial_fan(self, n_in: int) -> float:
        return float(n_in**0.5)

    @functools.cached_property
    def _interpolate(self) -> Tensor:
        """From values at the inner knots to coefficients, ``[G+k, G+1]``."""
        knots = self.knots()
        inverse: Tensor = torch.linalg.pinv(self.values(self.inner(knots).double(), knots.double()))
        return inverse.float()

    def kernel_problem(self) -> str | None:
        if self.degree in KERNEL_DEGREES:
            return None
        return f"degree {self.degree} is not one of its {list(KERNEL_DEGREES)}"

    @property
    def beyond(self) -> int:
        return self.degree

    def extend(self, inner: Tensor) -> Tensor:
        return extend_knots(inner, self.degree)

    def constant(self) -> Tensor:
        return torch.ones(self.size, dtype=torch.float32)

    def level(self, coef: Tensor) -> Tensor:
        return coef.mean(-1, keepdim=True)

    def mirror(self, coef: Tensor) -> Tensor:
        return coef.flip(-1)

    def line(self, knots: Tensor) -> Tensor | None:
        return greville_abscissae(knots, self.degree) if self.degree > 0 else None


class RadialBasis(Basis):
    """Gaussians exp(-((x - g_i) / h)^2) as FastKAN's (Li 2024, arXiv:2405.06721): their G + 1 centres are the knots, h is the mean distance between them.

    FastKAN's eight centres on [-2, 2] are ``grid=7, domain=(-2, 2)``. This is FastKAN with ``use_layernorm=False``: a layer norm mixes the neurons, and what follows it is
    not a sum of univariate functions. FastKAN has no spline weight (here 1 at first) and a bias that is left out.
    """

    name = "rbf"
    noise_scale = 0.1

    @property
    def size(self) -> int:
        return self.grid + 1

    def problem(self) -> str | None:
        return None if self.degree == 0 else f"radial basis functions have no degree: say degree=0, not {self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        return torch.exp(-self._distance(x, knots)[0].square())

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        t, h = self._distance(x, knots)
        return -2 * t / h * torch.exp(-t.square())

    def _distance(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """(x - g_i) / h, and h."""
        h = ((knots[..., -1:] - knots[..., :1]) / self.grid).unsqueeze(-2)
        return (x.unsqueeze(-1) - knots.unsqueeze(-2)) / h, h

    def initial(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """As FastKAN: normal of standard deviation ``noise_scale``, its ``spline_weight_init_scale`` (it truncates at 20 deviations)."""
        return self._normal(n_in, n_out, generator) * noise_scale

    def mirror(self, coef: Tensor) -> Tensor:
        return coef.flip(-1)


class _OnInterval(Basis):
    """Functions of u = the place of x in the domain, from -1 at its beginning to 1 at its end; inner knots say nothing else."""

    def _place(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """u ``[..., B, 1]``, and du/dx ``[..., 1, 1]``."""
        low, high = knots[..., :1], knots[..., -1:]
        slope = 2 / (high - low)
        return ((x - (low + high) / 2) * slope).unsqueeze(-1), slope.unsqueeze(-1)


class _ConstantFirst(_OnInterval):
    """Of which the first function is 1."""

    def constant(self) -> Tensor:
        return torch.eye(self.size, dtype=torch.float32)[0]

    def level(self, coef: Tensor) -> Tensor:
        return coef[..., :1]


class Chebyshev(_ConstantFirst):
    """Chebyshev polynomials T_0, ..., T_k of tanh(u) as ChebyKAN's, with u from -1 to 1 on the domain: on [-1, 1], tanh(x) as there.

    There are no intervals: ``grid=1``, and the knots are the ends of the domain. ChebyKAN has no residual activation (``base="zero"``) and no spline weight (here 1 at first).
    """

    name = "chebyshev"

    @property
    def size(self) -> int:
        return self.degree + 1

    def problem(self) -> str | None:
        return None if self.grid == 1 else f"Chebyshev polynomials have no intervals: say grid=1, not {self.grid}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        t = self._place(x, knots)[0].tanh()
        terms = [torch.ones_like(t), t]
        for _ in range(2, self.size):
            terms.append(2 * t * terms[-1] - terms[-2])
        return torch.cat(terms[: self.size], -1)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        """T_j' = j U_{j-1}, polynomials of the second kind."""
        u, slope = self._place(x, knots)
        t = u.tanh()
        second = [torch.zeros_like(t), torch.ones_like(t)]
        for _ in range(2, self.size):
            second.append(2 * t * second[-1] - second[-2])
        order = torch.arange(self.size, device=t.device, dtype=t.dtype)
        return torch.cat(second[: self.size], -1) * order * (1 - t * t) * slope

    def initial(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """As ChebyKAN: normal of standard deviation noise_scale / (in (k + 1))."""
        return noise_scale * self._normal(n_in, n_out, generator) / (n_in * self.size)

    def mirror(self, coef: Tensor) -> Tensor:
        return coef * (1 - 2 * (torch.arange(self.size, device=coef.device) % 2))


class Fourier(_ConstantFirst):
    """1, cos(j pi u), sin(j pi u) for j = 1, ..., G, with u from -1 to 1 on the domain, which is one period. On [-pi, pi]: cos(jx) and sin(jx), as FourierKAN's.

    FourierKAN's neurons have a bias where these functions have a constant; it has no residual activation (``base="zero"``) and no spline weight (here 1 at first).
    """

    name = "fourier"

    @property
    def size(self) -> int:
        return 2 * self.grid + 1

    def problem(self) -> str | None:
        return None if self.degree == 0 else f"a Fourier series has no degree: say degree=0, not {self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        angle = self._place(x, knots)[0] * self._frequencies(x)
        return torch.cat([torch.ones_like(angle[..., :1]), angle.cos(), angle.sin()], -1)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        u, slope = self._place(x, knots)
        frequencies = self._frequencies(x)
        angle, rate = u * frequencies, slope * frequencies
        return torch.cat([torch.zeros_like(angle[..., :1]), -rate * angle.sin(), rate * angle.cos()], -1)

    def _frequencies(self, like: Tensor) -> Tensor:
        return math.pi * torch.arange(1, self.grid + 1, device=like.device, dtype=like.dtype)

    def initial(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """As FourierKAN: normal of standard deviation noise_scale / sqrt(in G), the constant 0."""
        coef = noise_scale * self._normal(n_in, n_out, generator) / math.sqrt(n_in * self.grid)
        coef[..., 0] = 0
        return coef

    def mirror(self, coef: Tensor) -> Tensor:
        return torch.cat([coef[..., : self.grid + 1], -coef[..., self.grid + 1 :]], -1)


class Wavelets(_OnInterval):
    """Mexican hats psi((x - b) / a) with psi(t) = 2 / (sqrt(3) pi^(1/4)) (1 - t^2) exp(-t^2 / 2), at dyadic dilations and translations on the domain.

    At dilation j = 0, ..., k the hats stand at the ends of G 2^j equal intervals, and a is the length of one. Wav-KAN (Bozorgasl and Chen 2024, arXiv:2405.12832) learns one
    a and b for each edge; in this fixed dictionary the functions stay linear in their coefficients.
    """

    name = "wavelet"

    @property
    def size(self) -> int:
        return sum(self._intervals) + self.degree + 1

    @property
    def _intervals(self) -> list[int]:
        """Of each dilation."""
        return [self.grid << level for level in range(self.degree + 1)]

    def problem(self) -> str | None:
        return None if self.degree <= 6 else f"at most 6 dilations beside the first, got degree={self.degree}"

    def values(self, x: Tensor, knots: Tensor) -> Tensor:
        t = self._places(x, knots)[0]
        return HAT * (1 - t.square()) * torch.exp(-t.square() / 2)

    def slopes(self, x: Tensor, knots: Tensor) -> Tensor:
        t, rate = self._places(x, knots)
        return HAT * t * (t.square() - 3) * torch.exp(-t.square() / 2) * rate

    def _places(self, x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """(x - b) / a of each function, and 1 / a."""
        u, slope = self._place(x, knots)
        parts = [torch.linspace(-n / 2, n / 2, n + 1, device=u.device, dtype=u.dtype) for n in self._intervals]
        half = torch.cat([torch.full_like(part, n / 2) for part, n in zip(parts, self._intervals, strict=True)])
        return u * half - torch.cat(parts), slope * half

    def initial(self, n_in: int, n_out: int, generator: torch.Generator, noise_scale: float) -> Tensor:
        """Uniform in +-noise_scale/sqrt(in), as Wav-KAN's one weight an edge, over the root of their number."""
        return (
            noise_scale
            * (torch.rand(n_in, n_out, self.size, generator=generator, dtype=torch.float32) * 2 - 1)
            / math.sqrt(n_in * self.size)
        )

    def mirror(self, coef: Tensor) -> Tensor:
        parts = torch.split(coef, [n + 1 for n in self._intervals], -1)
        return torch.cat([part.flip(-1) for part in parts], -1)


HAT: float = 2 / (math.sqrt(3) * math.pi**0.25)  # for a norm of 1

BASES: dict[str, type[Basis]] = {
    basis.name: basis for basis in (BSplines, RadialBasis, Chebyshev, Fourier, Wavelets)
}  # in the order of csrc/kernel.cpp
