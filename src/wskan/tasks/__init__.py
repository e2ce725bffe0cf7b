"""Tasks: the targets, losses and metrics that models are trained for, training, and evaluation."""

from wskan.tasks.augmentation import Symmetry, augment, augment_edges
from wskan.tasks.config import TrainConfig
from wskan.tasks.configure import default_features, model_config, model_options
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.evaluation import evaluate, predict, predict_split
from wskan.tasks.inr_classification import INRClassification
from wskan.tasks.opening import open_run
from wskan.tasks.pruning import Pruning
from wskan.tasks.pruning_mask import PruningMask
from wskan.tasks.pruning_scores import PruningScores
from wskan.tasks.record import learning_curve, read_record
from wskan.tasks.registry import TASKS, get_task, register_task
from wskan.tasks.regression import AccuracyPrediction, FrequencyRegression, Regression
from wskan.tasks.run import Run
from wskan.tasks.task import Task
from wskan.tasks.training import Device, train

__all__ = [
    "TASKS",
    "AccuracyPrediction",
    "Device",
    "FrequencyRegression",
    "GraphDataset",
    "INRClassification",
    "Pruning",
    "PruningMask",
    "PruningScores",
    "Regression",
    "Run",
    "Symmetry",
    "Task",
    "TrainConfig",
    "augment",
    "augment_edges",
    "default_features",
    "evaluate",
    "get_task",
    "graph_loader",
    "learning_curve",
    "model_config",
    "model_options",
    "open_run",
    "predict",
    "predict_split",
    "read_record",
    "register_task",
    "train",
]
