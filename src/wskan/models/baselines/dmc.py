"""DMC: convolutions over the flattened parameters (paper, section 5).

The source is Eilertsen et al., "Classifying the classifier" (2020).
"""

import dataclasses
import itertools

from torch import nn

from wskan.models.base import register_model
from wskan.models.baselines.flat import FlatNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.layers import MLP, Dropout

POSITIONS = 32  # at most this many are left after the last convolution


@dataclasses.dataclass(frozen=True, kw_only=True)
class DMCConfig(ModelConfig):
    """The configuration of :class:`DMC`; see :class:`wskan.models.ModelConfig`. ``num_layers`` counts convolutions."""

    model: str = "dmc"


@register_model("dmc", DMCConfig)
class DMC(FlatNetwork):
    """Strided one-dimensional convolutions over the flattened parameters, followed by an MLP. It has no invariance.

    The papers give neither strides nor kernel sizes for KANs. Here all layers share the smallest stride that leaves at
    most 32 positions. Time and parameters then stay moderate from a hundred to tens of thousands of edges. Kernels
    overlap by half. The remaining positions are not averaged, because that would mix up the edges.

    Raises:
        ShapeError: The widths of the graphs differ from ``config.widths``, or the graphs are padded.
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
    """Return the smallest stride whose ``layers``-th power reduces ``size`` to at most ``POSITIONS``."""
    return next(stride for stride in itertools.count(1) if POSITIONS * stride**layers >= size)
