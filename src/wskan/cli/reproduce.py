"""``wskan reproduce``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Reproduce a table or figure of the paper, or go beyond it: build the zoos it lacks, train what is missing, and put the paper's figures beside ours. Run again, it goes on."""

    name: Annotated[
        Literal[
            "table1",
            "table2",
            "table3",
            "table4",
            "table6",
            "table7",
            "table9",
            "table11",
            "figure5",
            "figure8",
            "figure9",
            "forms",
            "forms-long",
            "forms-accuracy",
            "forms-pruning",
            "data-efficiency",
            "parametrisations",
            "expressivity",
            "ideas",
            "ideas-pruning",
        ],
        tyro.conf.Positional,
    ]
    """Which. Tables 8 and 10 come with 7 and 9, figures 12 and 13 with 5. Beyond the paper: forms of features (forms, forms-long, forms-accuracy, forms-pruning), accuracy against the number of
    training KANs (data-efficiency), KANs of another basis than those trained on (parametrisations), Proposition 4.2 as a model (expressivity), and what probes, observed edges and scores give by themselves (ideas, ideas-pruning)."""
    scale: Literal["smoke", "cpu", "full", "paper"] = "cpu"
    """smoke: a minute, on digits. cpu: hours on two cores. full: as many KANs as in the paper and the best models that two cores can train, in days. paper: the paper's protocol, for a GPU."""
    datasets: tuple[str, ...] | None = None
    """Images, if not all of the scale: mnist, fashion-mnist, cifar10, kmnist, digits."""
    seeds: tuple[int, ...] | None = None
    """Seeds, if not those of the scale."""
    methods: tuple[str, ...] | None = None
    """Methods, if not all: mlp, mlp_aug, mlp_align, dmc, deepsets, set_transformer, ws_kan; of the ablations no_pe, no_bidir, ws_kan; of the forms of
    features ws_kan, folded, gauge, function, each also with _knots, _symmetries or _knots_symmetries."""
    work: Path = Path("reproduce")
    """Where zoos and runs are kept, for all experiments."""
    out: Path = Path("results")
    """Where NAME/SCALE.json, .md and .png are written."""
    jobs: int | None = None
    """Runs at a time (default: one a core, or one on a GPU)."""
    dry_run: bool = False
    """Only say what it would cost."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if there is one."""
    data: Path | None = None
    """Folder with the data sets (default: the environment variable WSKAN_DATA, else ~/.cache/wskan)."""
    fetch: bool = False
    """Download missing data from its publisher."""

    def run(self) -> None:
        import torch

        from wskan.errors import DataError
        from wskan.experiments import EXPERIMENTS, Workspace, get_scale, reproduce
        from wskan.experiments.engine.workspace import cores

        experiment = EXPERIMENTS[self.name]
        request = experiment.request(get_scale(self.scale), self.datasets, self.seeds, self.methods)
        on_gpu = self.device != "cpu" and torch.cuda.is_available()
        jobs = self.jobs if self.jobs is not None else 1 if on_gpu else cores()
        if jobs < 1:
            raise DataError(f"--jobs must be at least 1, got {jobs}")
        workspace = Workspace(folder=self.work, data_root=self.data, fetch=self.fetch, device=self.device, jobs=jobs)
        reproduce(experiment, request, workspace, self.out, dry_run=self.dry_run)
