"""The task of predicting the mask of a pruning oracle."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.kan.edges import flatten_edges
from wskan.tasks.pruning import Pruning
from wskan.tasks.task import ABSENT
from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True)
class PruningMask(Pruning):
    """Predict which edges of a classifier a pruning oracle keeps (paper, section 5.3).

    The loss is the binary cross-entropy. The metrics are ROC-AUC and accuracy in percent, over all edges of all KANs.

    Args:
        threshold: an edge is kept if its logit is higher. It is chosen for the highest accuracy on the validation split
            (paper, C.3.2). Before that, in the learning curve, it is 0, a probability of one half.

    Raises:
        DataError: the threshold is not a finite number.
    """

    name = "pruning-mask"

    def targets(self, zoo: Zoo, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the mask, ``[n, E]`` int8: 1 for an edge to keep, 0 for one to prune."""
        return flatten_edges(zoo.masks(rows)).to(torch.int8)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        exist = target != ABSENT  # as weights: selecting edges takes five times as long
        total = F.binary_cross_entropy_with_logits(output, target.to(output), exist.to(output), reduction="sum")
        return total / exist.sum().clamp_min(1)

    def decode(self, output: Tensor) -> Tensor:
        """Return the logits of keeping each edge."""
        return output

    def kept(self, target: Tensor) -> Tensor:
        return target

    def fits(self, zoo: Zoo) -> bool:
        return zoo.has_masks

    def check(self, zoo: Zoo) -> None:
        """Raise if a zoo has no masks.

        Raises:
            DataError: the zoo has no masks.
        """
        zoo.check_masks()
