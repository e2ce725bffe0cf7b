"""Figure 9: test accuracy of classifiers against the share of permuted training labels (paper, C.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.experiments.engine.classifier_zoos import classifier_recipes, classifier_zoos
from wskan.experiments.engine.experiment import Experiment, ExperimentResult, Request
from wskan.experiments.engine.notes import classifier_zoo_notes
from wskan.experiments.engine.table import Cell, Table
from wskan.experiments.engine.workspace import Workspace
from wskan.plotting.figure import new_figure, save_figure

BINS = 5  # bins of noise, also in figure 5
BIN_LABELS = {str(100 * (2 * i + 1) // (2 * BINS)): f"{100 * i // BINS}-{100 * (i + 1) // BINS} %" for i in range(BINS)}
"""Labels of the bins by their middles, in percent."""


def bin_by_noise(noise: Tensor, values: Tensor) -> dict[str, Tensor]:
    """Return values ``[n]`` by bin of noise ``[n]`` in [0, 1], without empty bins."""
    bin_index = (noise * BINS).long().clamp_max(BINS - 1)
    bins = {middle: values[bin_index == i] for i, middle in enumerate(BIN_LABELS)}
    return {middle: of_bin for middle, of_bin in bins.items() if len(of_bin)}


def analyse(workspace: Workspace, request: Request) -> ExperimentResult:
    """Return the accuracies of the first test KANs of each zoo, by noise."""
    data, cells = {}, {}
    shown = request.scale.classifiers.shown
    zoos = classifier_zoos(workspace, request)
    for dataset, zoo in zoos.items():
        rows = zoo.split("test")[:shown]
        noise, accuracy = zoo.columns["noise"][rows], zoo.columns["accuracy"][rows]
        data[dataset] = {"noise": noise.tolist(), "accuracy": accuracy.tolist()}
        for middle, values in bin_by_noise(noise, 100 * accuracy).items():
            cells[dataset, middle] = Cell(values=tuple(values.tolist()), facts={"zoo": zoo.digest})
    table = Table(
        title="Figure 9: accuracy of KANs against label noise",
        unit="test accuracy, percent",
        better="higher",
        rows={dataset: dataset for dataset in request.datasets},
        columns={middle: label for middle, label in BIN_LABELS.items() if any(c == middle for _, c in cells)},
        cells=cells,
        kind="lines",
        axis="permuted labels, percent",
        groups={dataset: dataset for dataset in request.datasets},
        over="KANs",
        notes=[
            f"{shown} test KANs per data set; the paper gives the figure without numbers.",
            *classifier_zoo_notes(zoos),
        ],
    )
    return ExperimentResult(tables=(table,), data=data, draw=draw)


def draw(tables: Sequence[Table], data: Mapping[str, Any], path: Path) -> None:
    """Draw one point per KAN, and one panel per data set."""
    figure = new_figure(3.6 * len(data), 3.4)
    axes = figure.subplots(1, len(data), squeeze=False, sharey=True)[0]
    for axis, (dataset, points) in zip(axes, data.items(), strict=True):
        axis.scatter(100 * torch.tensor(points["noise"]), 100 * torch.tensor(points["accuracy"]), s=9)
        axis.set_title(dataset, fontsize=10)
        axis.set_xlabel("permuted labels, percent")
        axis.axhline(10, color="grey", linestyle=":", linewidth=1)
        axis.set_ylim(0, 100)
    axes[0].set_ylabel("test accuracy, percent")
    save_figure(figure, path)


figure9 = Experiment(
    name="figure9", plans=lambda request: [], recipes=classifier_recipes, analyse=analyse, classifiers=True
)
