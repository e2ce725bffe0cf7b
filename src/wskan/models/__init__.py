"""Models that read KAN-graphs: WS-KAN and its baselines.

The PyTorch Geometric reference, :class:`wskan.models.ws_kan_pyg.WSKANPyG`, is not imported here, because PyTorch
Geometric takes seconds to load.
"""

from wskan.models.base import MODELS, MetaNetwork, build_model, load_model, register_model, save_model
from wskan.models.baselines.deep_sets import DeepSets, DeepSetsConfig
from wskan.models.baselines.dmc import DMC, DMCConfig
from wskan.models.baselines.flat_mlp import FlatMLP, FlatMLPConfig
from wskan.models.baselines.image_cnn import ImageCNN, ImageCNNConfig
from wskan.models.baselines.outputs import OutputsConfig, OutputsNetwork
from wskan.models.baselines.probe_gen import ProbeGen, ProbeGenConfig
from wskan.models.baselines.set_transformer import SetTransformer, SetTransformerConfig
from wskan.models.config import ModelConfig
from wskan.models.evaluating import EvaluatingConfig
from wskan.models.replay import replay_model, with_inputs
from wskan.models.standardize import Standardize
from wskan.models.univariate_mlp import UnivariateMLP
from wskan.models.ws_kan import WSKAN
from wskan.models.ws_kan_config import WSKANConfig

__all__ = [
    "DMC",
    "MODELS",
    "WSKAN",
    "DMCConfig",
    "DeepSets",
    "DeepSetsConfig",
    "EvaluatingConfig",
    "FlatMLP",
    "FlatMLPConfig",
    "ImageCNN",
    "ImageCNNConfig",
    "MetaNetwork",
    "ModelConfig",
    "OutputsConfig",
    "OutputsNetwork",
    "ProbeGen",
    "ProbeGenConfig",
    "SetTransformer",
    "SetTransformerConfig",
    "Standardize",
    "UnivariateMLP",
    "WSKANConfig",
    "build_model",
    "load_model",
    "register_model",
    "replay_model",
    "save_model",
    "with_inputs",
]
