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
    """Configuration of :class:`WSKAN`; see :class:`wskan.models.ModelConfig` for what all models share, and
    :class:`wskan.models.EvaluatingConfig` for what learned probes need.

    Args:
        positional_encoding: whether nodes and edges know their position (section 3.3); False is the ablation "no PE" (C.4).
        backward_messages: whether step b happens; False is the ablation "no bidirectional" (C.4).
        checkpoint_activations: recompute the nodes, too, in the backward pass: a fifth less memory at most, a quarter to two fifths more time. Edges are recomputed in any case.
        learned_probes: number P of inputs that are learned: in place of parameters and knots, the model reads what
            neurons and edges do there. 0 for none.
        inner_dropout: probability with which, in training, a KAN is shown by its outputs alone: features of its edges and
            hidden neurons become their means. A model that learned from activations then also reads KANs whose inside
            looks otherwise, as those of another basis (results/parametrisations).
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
        """Whether probes are learned."""
        return self.learned_probes > 0

    @property
    def observed(self) -> tuple[int, int, int]:
        """With learned probes, an edge has values at the first 24 of them and a node, if it is no input, at all."""
        probes = self.learned_probes
        return (min(OBSERVED, probes), probes, probes) if probes else super().observed

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types. Options that are off and that older runs had no choice of are left out: names hash the rest."""
        off = (("learned_probes", 0), ("inner_dropout", 0))
        return {name: value for name, value in super().to_dict().items() if (name, value) not in off}
