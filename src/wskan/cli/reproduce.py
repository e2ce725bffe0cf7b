"""The command ``wskan reproduce``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Reproduce a table or figure of the paper, or run an experiment beyond the paper. Builds missing zoos, trains
    missing models, and compares our numbers with the paper's. An interrupted experiment is resumed."""

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
    """Table, figure or experiment. Tables 8 and 10 are part of 7 and 9, figures 12 and 13 of 5. The others go
    beyond the paper. forms, forms-long, forms-accuracy, forms-pruning: forms of features. data-efficiency: accuracy
    against the number of training KANs. parametrisations: KANs of another basis than in training. expressivity:
    Proposition 4.2 as a model. ideas, ideas-pruning: the separate effects of probes, observed edges and scores."""
    scale: Literal["smoke", "cpu", "full", "paper"] = "cpu"
    """smoke: a minute, on digits. cpu: hours on two cores. full: as many KANs as in the paper and the best models that
    two cores can train, in days. paper: the paper's protocol, for a GPU."""
    datasets: tuple[str, ...] | None = None
    """Data sets: mnist, fashion-mnist, cifar10, kmnist, digits. By default all data sets of the scale."""
    seeds: tuple[int, ...] | None = None
    """Seeds. By default the seeds of the scale."""
    methods: tuple[str, ...] | None = None
    """Methods. By default all of the experiment. Tables: mlp, mlp_aug, mlp_align, dmc, deep_sets, set_transformer,
    ws_kan. Ablations: no_pe, no_bidir, ws_kan. Forms of features: ws_kan, folded, gauge, function, each also with
    _knots, _symmetries or _knots_symmetries."""
    work: Path = Path("reproduce")
    """Folder of zoos and runs, shared by all experiments."""
    out: Path = Path("results")
    """Folder in which NAME/SCALE.json, .md and .png are written."""
    jobs: int | None = None
    """Number of runs at the same time. By default one per core, or one on a GPU."""
    dry_run: bool = False
    """Only print the estimated cost."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses a GPU if there is one."""
    data: Path | None = None
    """Folder with the data sets (default: the environment variable WSKAN_DATA, else ~/.cache/wskan)."""
    fetch: bool = False
    """Download missing data from its publisher."""

    def run(self) -> None:
        from wskan.errors import DataError
        from wskan.experiments import EXPERIMENTS, Workspace, get_scale, reproduce
        from wskan.experiments.engine.processes import cores
        from wskan.runtime import resolve_device

        experiment = EXPERIMENTS[self.name]
        request = experiment.request(get_scale(self.scale), self.datasets, self.seeds, self.methods)
        on_gpu = resolve_device(self.device).type == "cuda"
        jobs = self.jobs if self.jobs is not None else 1 if on_gpu else cores()
        if jobs < 1:
            raise DataError(f"--jobs must be at least 1, got {jobs}")
        workspace = Workspace(folder=self.work, data_root=self.data, fetch=self.fetch, device=self.device, jobs=jobs)
        reproduce(experiment, request, workspace, self.out, dry_run=self.dry_run)
