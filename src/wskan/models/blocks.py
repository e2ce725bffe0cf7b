"""The two-layer perceptron that every MLP of section 3.3 is here, and layer normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

activation = F.silu  # the paper gives none


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
