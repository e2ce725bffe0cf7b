"""An upper bound for implicit neural representations: a CNN on the image."""

import dataclasses
import itertools

import torch
from torch import Tensor, nn

from wskan.errors import DataError
from wskan.graph import InputMap
from wskan.models.base import register_model
from wskan.models.baselines.outputs import OutputsConfig, OutputsNetwork
from wskan.models.config import check_whole
from wskan.models.ops.layers import Dropout
from wskan.reading import number
from wskan.signals import coordinates

MAX_SIDE = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageCNNConfig(OutputsConfig):
    """The configuration of :class:`ImageCNN`; see :class:`wskan.models.OutputsConfig`.

    ``num_layers`` counts convolutions, and ``hidden`` is the number of channels of the last ones.

    Args:
        side: side of the image, in pixels.
        affine: strength of augmentation in training: the largest shift (in halves of the image) and logarithm of the
            scale. The largest rotation is 1.75 times as many radians.
        mirror: mirror images left to right in training with probability one half.

    Raises:
        DataError: The KANs do not have two inputs, or a value is out of range.
    """

    model: str = "image_cnn"
    side: int = 28
    affine: float = 0.15
    mirror: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("side", self.side, 4, MAX_SIDE)
        if self.widths[0] != 2:
            raise DataError(f"model image_cnn needs KANs of two inputs, row and column, not {self.widths[0]}")
        number(self.affine, "model configuration: affine", 0, 1)


@register_model("image_cnn", ImageCNNConfig)
class ImageCNN(OutputsNetwork):
    """A convolutional network on the image that a KAN represents.

    The KAN is evaluated at the pixels that it was fitted to (:func:`wskan.signals.coordinates`). In training, the
    pixels are first moved by a random affine map for each KAN and clamped to the image, which shifts, scales and
    rotates the image at no cost.
    """

    config: ImageCNNConfig
    lattice: Tensor

    def __init__(self, config: ImageCNNConfig) -> None:
        super().__init__(config)
        self.register_buffer("lattice", coordinates(config.side, config.side), persistent=False)
        stages = [2 - 3 * (config.num_layers - 1 - index) // config.num_layers for index in range(config.num_layers)]
        channels = [config.widths[-1], *(max(1, config.hidden >> (2 - stage)) for stage in stages)]
        blocks: list[nn.Module] = []
        for (n, m), stage, before in zip(itertools.pairwise(channels), stages, [stages[0], *stages], strict=False):
            blocks += [nn.MaxPool2d(2)] if stage > before else []
            blocks += [nn.Conv2d(n, m, 3, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU()]
        self.network = nn.Sequential(*blocks)
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(channels[-1], config.out_dim)

    def inputs(self, size: int) -> Tensor:
        """Return the pixels at which to evaluate KANs, ``[side*side, 2]``, or in training ``[size, side*side, 2]``."""
        config = self.config
        if not self.training or (config.affine == 0 and not config.mirror):
            return self.lattice
        return moved(self.lattice, size, config.affine, config.mirror)

    def read(self, outputs: Tensor) -> Tensor:
        """Map outputs ``[B, out, side*side]`` to ``[B, out_dim]``."""
        image = outputs.reshape(*outputs.shape[:2], self.config.side, self.config.side)
        out: Tensor = self.head(self.dropout(self.network(image).mean((2, 3))))
        return out


def moved(points: Tensor, size: int, affine: float, mirror: bool) -> Tensor:
    """Move points ``[N, 2]`` (row, column) in [-1, 1]^2 by ``size`` random affine maps, to ``[size, N, 2]``.

    Random numbers are from PyTorch's global generator, as for dropout. See :class:`ImageCNNConfig` for ``affine`` and
    ``mirror``.
    """
    angle, logarithm, *shift = (affine * (2 * torch.rand(4, size, device=points.device) - 1)).unbind()
    scale = logarithm.exp().unsqueeze(1).repeat(1, 2)
    if mirror:
        scale[:, 1] *= 2 * torch.randint(2, (size,), device=points.device) - 1
    return InputMap(scale=scale, shift=torch.stack(shift, 1), angle=1.75 * angle)(points, (-1.0, 1.0))
