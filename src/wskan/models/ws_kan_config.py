"""Configuration of WS-KAN."""

import dataclasses
from typing import Any

from wskan.errors import DataError
from wskan.graph.features import MAX_PROBES
from wskan.graph.probes import OBSERVED
from wskan.models.config import check_whole
from wskan.models.evaluating import EvaluatingConfig
from wskan.reading import number


@dataclasses.dataclass(frozen=True, kw_only=True)
class WSKANConfig(EvaluatingConfig):
    """The configuration of :class:`WSKAN`.

    See :class:`wskan.models.ModelConfig` for the options of all models, and :class:`wskan.models.EvaluatingConfig` for
    those of learned probes.

    Args:
        positional_encoding: encode positions of nodes and edges (paper, section 3.3). False is the ablation "no PE"
            (C.4).
        backward_messages: include step b. False is the ablation "no bidirectional" (C.4).
        checkpoint_activations: also recompute nodes in the backward pass. It saves at most a fifth of the memory and
            takes 25 to 40 % more time. Edges are always recomputed.
        learned_probes: number P of learned inputs, or 0. With them, the model reads values of neurons and edges at
            these inputs instead of parameters and knots.
        inner_dropout: probability with which, in training, all features of a KAN except those of its outputs are
            replaced by their means. A model trained on activations can then also read KANs with other bases
            (results/parametrisations).
    """

    model: str = "ws_kan"
    positional_encoding: bool = True
    backward_messages: bool = True
    checkpoint_activations: bool = False
    learned_probes: int = 0
    inner_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_whole("learned_probes", self.learned_probes, 0, MAX_PROBES)
        super().__post_init__()
        if number(self.inner_dropout, "model configuration: inner_dropout", 0, 1) == 1:
            raise DataError("model configuration: inner_dropout must be below 1")

    @property
    def evaluates(self) -> bool:
        """Return whether probes are learned."""
        return self.learned_probes > 0

    @property
    def observed(self) -> tuple[int, int, int]:
        """Return edge_dim, node_dim and bias_dim of :meth:`MetaNetwork.observe`.

        Edges have values at the first 24 learned probes. Nodes except the inputs have activations at all of them.
        """
        probes = self.learned_probes
        return (min(OBSERVED, probes), probes, probes) if probes else super().observed

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Options that older runs lacked are omitted if they are off, because names of runs hash this dictionary.
        """
        off = (("learned_probes", 0), ("inner_dropout", 0))
        return {name: value for name, value in super().to_dict().items() if (name, value) not in off}
