"""Shared by models that read only the outputs of a KAN."""

import abc
import dataclasses

from torch import Tensor, nn

from wskan.errors import DataError
from wskan.graph import KANGraph
from wskan.models.base import MetaNetwork
from wskan.models.evaluating import EvaluatingConfig, responses_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputsConfig(EvaluatingConfig):
    """The configuration of an :class:`OutputsNetwork`; see :class:`wskan.models.EvaluatingConfig`.

    Raises:
        DataError: The readout is ``"edge"``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readout != "graph":
            raise DataError(f"model {self.model} reads outputs of KANs, not edges: it has only the graph readout")


class OutputsNetwork(MetaNetwork, abc.ABC):
    """The base of models that evaluate a KAN at some inputs and read its outputs.

    All weights of the same function give the same result. Each output is standardised over inputs and KANs by running
    statistics. Those of features (``standardize``) are not used. Graphs may have any hidden widths and depth.

    Raises:
        ShapeError: The graphs have other features, or other numbers of inputs or outputs.
    """

    config: OutputsConfig

    def __init__(self, config: OutputsConfig) -> None:
        super().__init__(config)
        self.norm = nn.BatchNorm1d(config.widths[-1], affine=False)

    @abc.abstractmethod
    def inputs(self, size: int) -> Tensor:
        """Return the inputs at which to evaluate ``size`` KANs, ``[N, in]`` or ``[size, N, in]``."""

    @abc.abstractmethod
    def read(self, outputs: Tensor) -> Tensor:
        """Map standardised outputs ``[B, out, N]`` to ``[B, out_dim]``."""

    def forward(self, graph: KANGraph) -> Tensor:
        """Return ``[B, out_dim]``."""
        x = self.inputs(len(graph))
        return self.read(self.norm(responses_of(graph, self.config, x).nodes[-1]))
