"""The two-layer perceptron that every MLP of section 3.3 is here, and layer normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

activation = F.silu  # the paper gives none


def compute_dtype(x: Tensor) -> torch.dtype:
    """That linear layers compute in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class MLP(nn.Module):
    """``second(act(first(x)))``. Its halves are public: the dense WS-KAN applies them apart."""

    def __init__(self, in_dim: int, hidden: int, out_dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_dim, hidden)
        self.second = nn.Linear(hidden, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in_dim]`` to ``[..., out_dim]``."""
        out: Tensor = self.second(activation(self.first(x)))
        return out


class LayerNorm(nn.LayerNorm):
    """Layer normalisation in the dtype of its input; autocast would widen all that follows."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., dim]`` to the same."""
        with torch.autocast(x.device.type, enabled=False):
            return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class Dropout(nn.Module):
    """Dropout that draws one random byte a number on CPUs, where PyTorch's own draws were 40 % of a step of DeepSets or DMC.

    The probability is rounded to a multiple of 1/256, and the scale with it, so that the mean is kept.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """``[...]`` to the same."""
        dropped = round(256 * self.p)
        if not self.training or dropped == 0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling() or dropped == 256:
            return F.dropout(x, self.p)
        words = torch.randint(-(2**31), 2**31, ((x.numel() + 3) // 4,), dtype=torch.int32)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * (kept * (256 / (256 - dropped))).to(x.dtype)
