"""The paper's tables and figures, one command each: ``wskan reproduce``."""

from wskan.experiments.beyond.data_efficiency import data_efficiency
from wskan.experiments.beyond.expressivity import expressivity
from wskan.experiments.beyond.forms import forms, forms_accuracy, forms_long, forms_pruning
from wskan.experiments.beyond.ideas import ideas, ideas_pruning
from wskan.experiments.beyond.parametrisations import parametrisations
from wskan.experiments.engine.cost import Cost, estimate
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.methods import METHODS, Method
from wskan.experiments.engine.plan import Plan
from wskan.experiments.engine.reproduce import reproduce
from wskan.experiments.engine.scale import SCALES, Scale, get_scale
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.experiments.paper.accuracy import table3, table7
from wskan.experiments.paper.frequencies import figure8
from wskan.experiments.paper.inr_classification import table1, table2, table6
from wskan.experiments.paper.label_noise import figure9
from wskan.experiments.paper.pruning import table4, table9
from wskan.experiments.paper.pruning_effect import figure5
from wskan.experiments.paper.timing import table11

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        *(table1, table2, table3, table4, table6, table7, table9, table11, figure5, figure8, figure9),
        *(forms, forms_long, forms_accuracy, forms_pruning, data_efficiency, parametrisations, expressivity, ideas),
        ideas_pruning,
    )
}

__all__ = [
    "EXPERIMENTS",
    "METHODS",
    "SCALES",
    "Cell",
    "Cost",
    "Experiment",
    "ExperimentResult",
    "Method",
    "Plan",
    "Request",
    "Scale",
    "Table",
    "Workspace",
    "estimate",
    "get_scale",
    "reproduce",
]
