"""DMC: convolutions over the flattened parameters (paper, section 5; Eilertsen et al., "Classifying the classifier", 2020)."""

import dataclasses
import itertools

from torch import nn

from wskan.models.base import register_model
from wskan.models.baselines.flat import FlatNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.layers import MLP, Dropout

POSITIONS = 32  # at most so many are left after the last convolution


@dataclasses.dataclass(frozen=True, kw_only=True)
class DMCConfig(ModelConfig):
    """Configuration of :class:`DMC`; see :class:`wskan.models.ModelConfig`. ``num_layers`` counts the convolutions."""

    model: str = "dmc"


@register_model("dmc", DMCConfig)
class DMC(FlatNetwork):
    """Strided one-dimensional convolutions over the flattened parameters, then a perceptron on what is left. Not invariant to anything.

    The papers give neither strides nor kernels for KANs. Here all layers have one stride, the smallest that leaves at most 32 positions, so that time and
    parameters stay in bounds from a hundred to tens of thousands of edges; kernels overlap by half. The positions left are not averaged: which edge a
    number belongs to would be lost.

    Raises:
        ShapeError: graphs of other widths than ``config.widths``, or filled-up ones.
    """

    def __init__(self, config: DMCConfig) -> None:
        super().__init__(config)
        stride, length = _stride(self.in_size, config.num_layers), self.in_size
        blocks: list[nn.Module] = [nn.Unflatten(1, (1, -1))]
        for index in range(config.num_layers):
            channels = config.hidden if index else 1
            blocks.append(nn.Conv1d(channels, config.hidden, 2 * stride + 1, stride, padding=stride))
            blocks += [nn.SiLU(), Dropout(config.dropout)]
            length = -(-length // stride)
        blocks += [nn.Flatten(), MLP(config.hidden * length, config.hidden, self.out_size)]
        self.network = nn.Sequential(*blocks)


def _stride(size: int, layers: int) -> int:
    """The smallest whose ``layers``-th power brings ``size`` down to at most ``POSITIONS``."""
    return next(stride for stride in itertools.count(1) if POSITIONS * stride**layers >= size)
