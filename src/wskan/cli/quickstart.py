"""The command ``wskan quickstart``."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from wskan.tasks import Run
    from wskan.zoo import Zoo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quickstart:
    """Train a zoo of 1,797 KANs, one for each image of scikit-learn's digits, and a WS-KAN that predicts the digit of
    each KAN. Needs no download."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = Path("quickstart")
    """Folder of the zoo, the models and the figures. An interrupted quickstart is resumed."""
    epochs: int = 40
    """Passes over the training KANs."""
    seed: int = 0
    """Random seed of the models."""

    def run(self) -> None:
        from rich.console import Console

        from wskan.cli.tables import print_scores
        from wskan.files import write_atomically
        from wskan.plotting.figure import require_matplotlib
        from wskan.plotting.kans import reconstructions
        from wskan.printing import markup
        from wskan.zoo import build_zoo, get_recipe, reconstruct

        require_matplotlib()
        console, begin = Console(), time.perf_counter()
        console.print(
            "[bold]1. Zoo:[/] one KAN \\[2, 8, 8, 1] for each of 1,797 images of digits, "
            "trained to map the coordinates of a pixel to its value"
        )
        zoo = build_zoo(get_recipe("digits-inr"), self.folder / "zoo", progress=True, within=self.folder)
        info = zoo.info()
        console.print(
            f"   {len(zoo):,} KANs, mean PSNR {info['psnr_mean']:.1f} dB, "
            f"{info['seconds_per_kan'] * 1e3:.1f} ms per KAN"
        )
        rows = zoo.split("test")[:12]
        reconstructions(*reconstruct(zoo, rows), zoo.columns["psnr"][rows], self.folder / "reconstructions.png")

        console.print(
            "[bold]2. Models[/] that predict the digit: an MLP on the flattened weights, "
            "and WS-KAN on the KAN-graph with the activations of its neurons at 64 inputs"
        )
        runs = {name: self._train(zoo, name) for name in ("mlp", "ws_kan")}
        matrix = self._confusion(zoo, runs["ws_kan"])
        records = {name: run.record for name, run in runs.items()}
        print_scores(records, "Accuracy in percent on 300 test KANs (chance: 10)")
        summary = {
            "seconds": round(time.perf_counter() - begin, 1),
            "zoo": {key: info[key] for key in ("digest", "counts", "psnr_mean", "seconds")},
            "runs": records,
            "confusion": matrix,
        }
        write_atomically(self.folder / "summary.json", lambda path: path.write_text(json.dumps(summary, indent=1)))
        console.print(
            f"Finished in {summary['seconds']:,.0f} s. "
            f"Figures: {markup(self.folder)}/reconstructions.png, {markup(self.folder)}/confusion.png"
        )

    def _train(self, zoo: Zoo, name: str) -> Run:
        from wskan.files import check_inside
        from wskan.graph import FeatureConfig
        from wskan.tasks import Symmetry, train

        probed, folder = name == "ws_kan", self.folder / "runs" / name
        check_inside(self.folder, folder)
        augment: tuple[Symmetry, ...] = ("affine",) if probed else ()
        return train(
            zoo,
            folder,
            model=name,
            features=FeatureConfig(form="observed", probes=64) if probed else FeatureConfig(),
            hidden=64,
            epochs=self.epochs,
            batch_size=32,
            lr=2e-3,
            augment=augment,
            seed=self.seed,
            device="cpu",
            progress=True,
        )

    def _confusion(self, zoo: Zoo, run: Run) -> list[list[int]]:
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        from wskan.plotting.scores import confusion
        from wskan.tasks import GraphDataset, graph_loader, predict

        output, target = predict(run.model, graph_loader(GraphDataset(zoo, "test", run.task, run.features), 128))
        matrix = multiclass_confusion_matrix(output, target, run.task.out_dim)
        accuracy = run.record["test"]["accuracy"]
        confusion(
            matrix,
            [str(i) for i in range(run.task.out_dim)],
            f"WS-KAN: {accuracy:.1f} % of 300 test KANs",
            self.folder / "confusion.png",
        )
        rows: list[list[int]] = matrix.tolist()
        return rows
