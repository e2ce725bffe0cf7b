"""KAN-graphs as tensors (paper, sections 3.2 and 3.3)."""

from wskan.graph.collate import collate, concatenate
from wskan.graph.features import FeatureConfig, kan_graph
from wskan.graph.forms import FORMS, Form
from wskan.graph.inverse import EVALUABLE, population_of
from wskan.graph.kan_graph import KANGraph
from wskan.graph.positions import edge_positions, node_positions, num_edge_positions, num_node_positions
from wskan.graph.probes import InputMap, probe_inputs
from wskan.graph.pyg import from_pyg, to_pyg
from wskan.graph.statistics import FeatureStatistics, feature_statistics

__all__ = [
    "EVALUABLE",
    "FORMS",
    "FeatureConfig",
    "FeatureStatistics",
    "Form",
    "InputMap",
    "KANGraph",
    "collate",
    "concatenate",
    "edge_positions",
    "feature_statistics",
    "from_pyg",
    "kan_graph",
    "node_positions",
    "num_edge_positions",
    "num_node_positions",
    "population_of",
    "probe_inputs",
    "to_pyg",
]
