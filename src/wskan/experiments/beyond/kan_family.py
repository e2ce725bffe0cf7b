"""A family of KANs with parameters in a compact set, and the MLP of Lemma 4.1 for all of their edge functions."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan import KANSpec, Layer, Population, uniform_knots
from wskan.models import UnivariateMLP

Density = Literal["uniform", "faces", "vertices"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KANFamily:
    """KANs whose neurons all receive n functions with ``|w_b| <= 1/3n``, ``1/2n <= w_s <= 3/4n`` and ``|c_i| <= 1``.

    Every neuron then stays in the domain [-1, 1], the compact set S of the proof of Proposition 4.2. B-splines are
    nonnegative and sum to 1 there, so ``|B(x)| <= 1``, and ``|silu(x)| <= silu(1) < 0.732``. Together,
    ``n (0.732/3n + 3/4n) < 1``.

    Args:
        neurons: number n of neurons of each layer but the last, which has one.
        grid: see :class:`wskan.kan.KANSpec`.
        degree: see :class:`wskan.kan.KANSpec`.
    """

    neurons: int = 2
    grid: int = 3
    degree: int = 3

    def spec(self, depth: int) -> KANSpec:
        """Return the spec of the KANs with this number of layers."""
        return KANSpec(widths=(self.neurons,) * depth + (1,), grid=self.grid, degree=self.degree)

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """Return the compact set of Lemma 4.1: least and largest x, w_b, w_s, c_0, ..., c_{G+k-1}, ``[1 + F]`` each."""
        n, ones = self.neurons, [1.0] * (self.grid + self.degree)
        low = torch.tensor([-1, -1 / (3 * n), 1 / (2 * n), *(-c for c in ones)])
        return low, torch.tensor([1, 1 / (3 * n), 3 / (4 * n), *ones])

    def sample(self, generator: torch.Generator, *shape: int, density: Density = "uniform") -> Tensor:
        """Draw random points of the set, ``[..., 1 + F]``.

        The density is ``"uniform"``, ``"faces"`` or ``"vertices"``. For faces, each coordinate has the density of
        Chebyshev's points, which is larger towards both ends. For vertices, each parameter is at one of its ends, where
        edge functions vary most and are hardest to learn, and x is uniform.
        """
        low, high = self.box
        share = torch.rand(*shape, len(low), generator=generator)
        if density == "faces":
            share = torch.sin(torch.pi / 2 * share).square()
        elif density == "vertices":
            share[..., 1:] = share[..., 1:].round()
        return low + (high - low) * share

    def edge_function(self, x: Tensor, edges: Tensor) -> Tensor:
        """Compute ``psi(x; w_b, w_s, c) = w_b silu(x) + w_s B(x)`` (Lemma 4.1), where each edge is a KAN.

        The shapes are ``[E]`` for x, ``[E, F]`` for the edges and ``[E]`` for the result.
        """
        spec = dataclasses.replace(self.spec(1), widths=(1, 1))
        return Population(spec, [self._layer(edges[:, None, None])])(x[:, None, None]).flatten()

    def kans(self, generator: torch.Generator, depth: int, size: int) -> Population:
        """Draw random KANs of the family, with parameters at the vertices of the set.

        Deep KANs from its interior hardly depend on their inputs, since each layer contracts.
        """
        spec, n = self.spec(depth), self.neurons
        layers = [
            self._layer(self.sample(generator, size, n, out, density="vertices")[..., 1:]) for out in spec.widths[1:]
        ]
        return Population(spec, layers)

    def _layer(self, edges: Tensor) -> Layer:
        """Return the layer with edges ``[K, in, out, F]``."""
        knots = uniform_knots(self.grid, self.degree, self.spec(1).domain).expand(1, 1, -1)
        base, spline, coef = edges[..., 0], edges[..., 1], edges[..., 2:]
        return Layer(base_weight=base, spline_weight=spline, coef=coef, mask=torch.ones_like(base), knots=knots)


LEAST_BATCH = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class LemmaConfig:
    """Training of the MLP of Lemma 4.1: regression on exact values by Adam, with a rate that falls linearly to 0.

    The names of the fields are part of the key of a measurement.

    Args:
        depth: number of hidden layers.
        steps: number of steps.
        batch: points per step and unit of width, at least ``LEAST_BATCH`` points in all. With small batches, their
            noise would hide the advantage of more units.
        rate: initial learning rate.
        samples: number of training points.
    """

    depth: int = 3
    steps: int
    batch: int = 8
    rate: float = 5e-3
    samples: int = 2**19


def fit_univariate(family: KANFamily, config: LemmaConfig, width: int, seed: int) -> UnivariateMLP:
    """Train the MLP of Lemma 4.1 for the edge functions of a family.

    Half of the points lie denser towards the faces of the set and half at its vertices, where errors are largest.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = family.box
    halves = [family.sample(generator, config.samples // 2, density=density) for density in ("faces", "vertices")]
    points = torch.stack(halves, 1).flatten(0, 1)  # alternately
    centre, half, size = (low + high) / 2, (high - low) / 2, 1 / family.neurons
    inputs, targets = (points - centre) / half, family.edge_function(points[:, 0], points[:, 1:]) / size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mlp = UnivariateMLP(inputs.shape[1] - 1, width, config.depth)
    optimizer = torch.optim.Adam(mlp.parameters(), lr=config.rate, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / 100) * (1 - step / config.steps)
    )
    batch = max(LEAST_BATCH, config.batch * width)
    for step in range(config.steps):
        begin = step * batch % config.samples
        rows = slice(begin, begin + batch)
        optimizer.zero_grad()
        F.mse_loss(mlp(inputs[rows, 0], inputs[rows, 1:]), targets[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return _in_units(mlp, centre, half, size)


@torch.no_grad()
def _in_units(mlp: UnivariateMLP, centre: Tensor, half: Tensor, size: float) -> UnivariateMLP:
    """Undo the standardisation of points and values in the first and last layer."""
    first = mlp.linears[0]
    first.weight.div_(half)
    first.bias.sub_(first.weight @ centre)
    mlp.out.weight.mul_(size)
    mlp.out.bias.mul_(size)
    return mlp
