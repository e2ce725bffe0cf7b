"""The paper's tables and figures, one command each: ``wskan reproduce``."""

from wskan.experiments.cost import Cost, estimate
from wskan.experiments.data_efficiency import data_efficiency
from wskan.experiments.experiment import Experiment, Findings, Request
from wskan.experiments.expressivity import expressivity
from wskan.experiments.figure5 import figure5
from wskan.experiments.figure8 import figure8
from wskan.experiments.figure9 import figure9
from wskan.experiments.forms import forms, forms_accuracy, forms_long, forms_pruning
from wskan.experiments.ideas import ideas, ideas_pruning
from wskan.experiments.methods import METHODS, Method
from wskan.experiments.parametrisations import parametrisations
from wskan.experiments.plan import Plan
from wskan.experiments.reproduce import reproduce
from wskan.experiments.scale import SCALES, Scale, get_scale
from wskan.experiments.table import Cell, Table
from wskan.experiments.table2 import table2
from wskan.experiments.table11 import table11
from wskan.experiments.tables_1_6 import table1, table6
from wskan.experiments.tables_3_4_7_9 import table3, table4, table7, table9
from wskan.experiments.workspace import Workspace

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
    "Findings",
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
