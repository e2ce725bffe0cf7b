"""Small layers: the two-layer MLP of section 3.3, layer normalisation and dropout."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

activation = F.silu  # the paper does not name one


def compute_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which linear layers compute, which autocast may set."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class MLP(nn.Module):
    """The MLP ``second(act(first(x)))``. The dense WS-KAN applies its two layers separately."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_dim, hidden)
        self.second = nn.Linear(hidden, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_dim]`` to ``[..., out_dim]``."""
        out: Tensor = self.second(activation(self.first(x)))
        return out


class LayerNorm(nn.LayerNorm):
    """Layer normalisation in the dtype of its input. Autocast would make it float32, and all that follows."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of ``[..., dim]``."""
        with torch.autocast(x.device.type, enabled=False):
            return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class Dropout(nn.Module):
    """Dropout that draws one random byte per number on CPUs.

    PyTorch's own dropout took 40 % of a training step of DeepSets or DMC. The probability is rounded to a multiple of
    1/256. The scale matches the rounded probability, so that the mean is kept.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop numbers of a tensor of any shape in training; otherwise return it unchanged."""
        dropped = round(256 * self.p)
        if not self.training or dropped == 0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling() or dropped == 256:
            return F.dropout(x, self.p)
        words = torch.randint(-(2**31), 2**31, ((x.numel() + 3) // 4,), dtype=torch.int32)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * (kept * (256 / (256 - dropped))).to(x.dtype)
