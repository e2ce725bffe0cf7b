"""What models are trained for: targets, losses, metrics, training and evaluation."""

from wskan.tasks.augmentation import Symmetry, augment
from wskan.tasks.config import TrainConfig
from wskan.tasks.data import GraphDataset, graph_loader
from wskan.tasks.evaluation import evaluate, predict
from wskan.tasks.run import Run, learning_curve, open_run, read_record
from wskan.tasks.task import TASKS, FrequencyRegression, INRClassification, Task, get_task
from wskan.tasks.training import Device, train

__all__ = [
    "TASKS",
    "Device",
    "FrequencyRegression",
    "GraphDataset",
    "INRClassification",
    "Run",
    "Symmetry",
    "Task",
    "TrainConfig",
    "augment",
    "evaluate",
    "get_task",
    "graph_loader",
    "learning_curve",
    "open_run",
    "predict",
    "read_record",
    "train",
]
