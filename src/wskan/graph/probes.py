"""Inputs at which KANs are probed (probe features: Kofinas et al., "Graph Neural Networks for Learning Equivariant Representations of Neural Networks", 2024)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.kan import Population
from wskan.kan.attribution import along_grid

FEW = 8
"""KANs of at most so many inputs, as implicit neural representations, are probed at fixed points of their input domain."""
OBSERVED = 24
"""The form ``"observed"`` describes an edge by its values at so many of the probes, the first ones."""


def probe_inputs(population: Population, count: int, domain: tuple[float, float]) -> Tensor:
    """Draw the inputs at which each KAN is probed, always the same ones.

    KANs of few inputs are all probed at the same points, a scrambled Sobol sequence in the cube ``domain^in``. Of KANs of many inputs, each input takes fixed quantiles of
    its own grid, chosen independently: an adapted grid holds the quantiles of what the input was in training.

    Args:
        population: K KANs.
        count: number P of probes.
        domain: interval that each of a few inputs is drawn from.

    Returns:
        ``[1, P, in]`` if all are probed alike, ``[K, P, in]`` otherwise.
    """
    n_in = population.spec.widths[0]
    if n_in <= FEW:
        return (domain[0] + (domain[1] - domain[0]) * sobol_points(count, n_in)).unsqueeze(0)
    share = torch.rand(n_in, count, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    inner = population.spec.basis_functions.inner(population.layers[0].knots).float()
    return along_grid(inner, share).transpose(1, 2)


def sobol_points(count: int, n_in: int) -> Tensor:
    """Spread points over the unit cube, always the same ones, ``[count, in]`` float32: a scrambled Sobol sequence.

    In more dimensions than there are Sobol points for, 21,201, they are random.
    """
    if n_in > torch.quasirandom.SobolEngine.MAXDIM:
        return torch.rand(count, n_in, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    engine = torch.quasirandom.SobolEngine(n_in, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(count, dtype=torch.float32)
    return points


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class InputMap:
    """Map the inputs of each of K KANs, ``x -> R (s * (x - m)) + t + m`` with m the middle of their domain: the KAN of a moved image.

    Attributes:
        scale: s, ``[K, in]``; negative where an input is mirrored.
        shift: t, ``[K, in]``.
        angle: of the rotation R, radians ``[K]``; None for KANs of other than two inputs.
    """

    scale: Tensor
    shift: Tensor
    angle: Tensor | None = None

    def __call__(self, x: Tensor, domain: tuple[float, float]) -> Tensor:
        """Map points ``[1 or K, P, in]`` to ``[K, P, in]``; those that would leave the domain stay on its border."""
        middle = (domain[0] + domain[1]) / 2
        x = (x - middle) * self.scale.unsqueeze(1)
        if self.angle is not None:
            cos, sin = self.angle.cos(), self.angle.sin()
            x = x @ torch.stack([cos, sin, -sin, cos], -1).view(-1, 2, 2)
        return (x + self.shift.unsqueeze(1) + middle).clamp(*domain)
