"""What the models share that see nothing of a KAN but its outputs."""

import abc
import dataclasses

from torch import Tensor, nn

from wskan.errors import DataError
from wskan.graph import KANGraph
from wskan.models.base import MetaNetwork
from wskan.models.evaluating import EvaluatingConfig, responses_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputsConfig(EvaluatingConfig):
    """Configuration of an :class:`OutputsNetwork`; see :class:`wskan.models.EvaluatingConfig`.

    Raises:
        DataError: the edge read-out.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readout != "graph":
            raise DataError(f"model {self.model} sees outputs of KANs and no edges: it has the graph read-out only")


class OutputsNetwork(MetaNetwork, abc.ABC):
    """Base of models that evaluate a KAN at some inputs and read its outputs: other weights for the same function
    change nothing.

    Each output is standardised over inputs and KANs by running statistics; those of features (``standardize``) are not
    used. Graphs may have any hidden widths and depth.

    Raises:
        ShapeError: graphs of other features, or of other numbers of inputs or outputs.
    """

    config: OutputsConfig

    def __init__(self, config: OutputsConfig) -> None:
        super().__init__(config)
        self.norm = nn.BatchNorm1d(config.widths[-1], affine=False)

    @abc.abstractmethod
    def inputs(self, size: int) -> Tensor:
        """Where ``size`` KANs are evaluated, ``[N, in]`` or ``[size, N, in]``."""

    @abc.abstractmethod
    def read(self, outputs: Tensor) -> Tensor:
        """Standardised outputs ``[B, out, N]`` to ``[B, out_dim]``."""

    def forward(self, graph: KANGraph) -> Tensor:
        """``[B, out_dim]``."""
        x = self.inputs(len(graph))
        return self.read(self.norm(responses_of(graph, self.config, x).nodes[-1]))
