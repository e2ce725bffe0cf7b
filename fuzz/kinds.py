"""The kinds of files: which template, how one of its files is changed, and how a user would read it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load
from torch import Tensor

from fuzz import experiment, templates
from fuzz.checkpoints import mutate_checkpoint
from fuzz.images import million, mutate_cifar, mutate_idx
from fuzz.json_text import mutate_json
from fuzz.raw import odd_file
from fuzz.tables import mutate_csv
from fuzz.tensors import mutate_safetensors
from wskan.align import align_zoo
from wskan.cli.evaluate import Evaluate
from wskan.cli.zoo import Info
from wskan.experiments import Workspace, reproduce
from wskan.kan import Population
from wskan.models import MODELS, load_model
from wskan.signals import load_images
from wskan.tasks import evaluate, learning_curve, open_run
from wskan.zoo import open_zoo

ODD = 0.04
TAME = 1e6  # a model whose weights are no larger must give finite answers


class NotFinite(Exception):
    """A reader gave numbers that are not finite, or ended as if all were well."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        template: folder of the templates that is copied.
        files: those that may be mutated, names within it, patterns allowed.
        change: mutates one of them; returns what it did.
        read: reads the folder with the mutant as a user would; random numbers pick one of several ways.
        odd: share of mutants that are not a regular file of reasonable size.
        memory: MB that reading may add to the process: twice the limit of the reader, and room.
    """

    template: str
    files: tuple[str, ...]
    change: Callable[[Path, Random], str]
    read: Callable[[Path, Path, Random], None]
    memory: int = 256
    odd: float = ODD

    def mutate(self, folder: Path, rng: Random) -> tuple[Path, str]:
        """Change one file of a copy of the template: which, and how."""
        found = sorted(path for pattern in self.files for path in folder.glob(pattern))
        path = rng.choice(found)
        said = odd_file(path, rng) if rng.random() < self.odd else self.change(path, rng)
        return path, f"{path.relative_to(folder)}: {said}"


def _finite(tensors: Iterable[Tensor], what: str) -> None:
    if not all(bool(tensor.to(torch.complex128).isfinite().all()) for tensor in tensors):
        raise NotFinite(what)


def _numbers(values: Iterable[object], what: str) -> None:
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise NotFinite(what)


def _parameters(kans: Population) -> Iterable[Tensor]:
    return (tensor for layer in kans.layers for tensor in vars(layer).values())


def _read_zoo(folder: Path, changed: Path, rng: Random) -> None:
    zoo = open_zoo(folder)
    _finite(_parameters(zoo.population(slice(None))), "parameters of a zoo")
    _finite(zoo.columns.values(), "columns of a zoo")
    if zoo.has_masks:
        zoo.masks(slice(None))
    if zoo.has_scores:
        _finite(zoo.scores(slice(None)), "scores of a zoo")
    Info(folder=folder).run()


def _read_run(folder: Path, changed: Path, rng: Random) -> None:
    zoo, run = open_zoo(folder / "zoo"), open_run(folder / "run")
    run.check(zoo.spec)
    run.check_unseen(zoo, "test")
    _finite([run.predict(templates.KANS)], "predictions")
    _numbers(evaluate(run.model, zoo, run.task, run.features).values(), "scores of a run")
    Evaluate(run_folder=folder / "run", zoo=folder / "zoo").run()


def _resume(folder: Path, changed: Path, rng: Random) -> None:
    run = templates.train_tiny(open_zoo(folder / "zoo"), folder / "run")
    _numbers([*run.record["val"].values(), *run.record["test"].values()], "scores of a resumed run")  # type: ignore[attr-defined]


def _read_curve(folder: Path, changed: Path, rng: Random) -> None:
    rows = learning_curve(folder / "run")
    _numbers((value for row in rows for value in row.values()), "learning curve")


def _read_models(folder: Path, changed: Path, rng: Random) -> None:
    place, name = changed.parent, changed.parent.name
    model = load_model(place) if rng.random() < 0.7 else MODELS[name][0].from_pretrained(place).eval()
    _finite(model.state_dict().values(), "weights of a model")
    with torch.no_grad():
        output = model(templates.graph(name))
    if all(bool((tensor.abs() <= TAME).all()) for tensor in model.state_dict().values()):
        _finite([output] if isinstance(output, Tensor) else output, "answers of a model")


def _read_alignment(folder: Path, changed: Path, rng: Random) -> None:
    aligned = align_zoo(open_zoo(folder / "zoo"), folder / "aligned", **templates.ALIGN)
    _finite([aligned.distance_before, aligned.distance_after], "distances of an alignment")
    _finite(_parameters(aligned.population(slice(None))), "aligned parameters")


def _align_anew(folder: Path, changed: Path, rng: Random) -> None:
    aligned = align_zoo(open_zoo(folder), folder.parent / "aligned", **templates.ALIGN)
    _finite([aligned.distance_before, aligned.distance_after], "distances of a new alignment")


def _reproduce(folder: Path, changed: Path, rng: Random) -> None:
    experiment.drawing = rng.random() < 0.1
    workspace = Workspace(folder=folder / "work", device="cpu")
    found = reproduce(experiment.EXPERIMENT, experiment.REQUEST, workspace, folder / "out")
    _numbers((v for table in found.tables for cell in table.cells.values() for v in cell.values), "a table")  # type: ignore[union-attr]


def _read_population(folder: Path, changed: Path, rng: Random) -> None:
    tensors = load((folder / "kans.safetensors").read_bytes())
    kans = Population.from_tensors(templates.KANS.spec, tensors)
    _finite(_parameters(kans), "parameters of a population")
    kans(torch.zeros(3, 2))


def _read_images(name: str) -> Callable[[Path, Path, Random], None]:
    def read(folder: Path, changed: Path, rng: Random) -> None:
        images = load_images(name, "train", root=folder)
        _finite([images.targets(torch.arange(min(5, len(images))))], "images")

    return read


def _change_shard(path: Path, rng: Random) -> str:
    """Make size and checksum of the manifest agree, most times."""
    said = mutate_safetensors(path, rng)
    if rng.random() < 0.9:
        manifest = path.parent.parent / "manifest.json"
        data = json.loads(manifest.read_text())
        data["shards"][int(path.stem)] |= {"size": path.stat().st_size, "sha256": _sha256(path)}
        manifest.write_text(json.dumps(data))
    return said


def _change_alignment(path: Path, rng: Random) -> str:
    said, manifest = mutate_safetensors(path, rng), path.with_name("manifest.json")
    if rng.random() < 0.9:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "sha256": _sha256(path)}))
    return said


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _change_model(path: Path, rng: Random) -> str:
    return (mutate_json if path.suffix == ".json" else mutate_safetensors)(path, rng)


def _change_idx(path: Path, rng: Random) -> str:
    return million(path.parent, rng) if rng.random() < 0.05 else mutate_idx(path, rng)


def _change_recipe(path: Path, rng: Random) -> str:
    return mutate_json(path, rng, "recipe")


def _change_whole(path: Path, rng: Random) -> str:
    return mutate_safetensors(path, rng, whole=True)


SHARDS = ("shards/*.safetensors",)
KINDS = {
    "manifest": Kind(template="zoo", files=("manifest.json",), change=mutate_json, read=_read_zoo),
    "recipe": Kind(template="classifiers", files=("manifest.json",), change=_change_recipe, read=_read_zoo),
    "shard": Kind(template="zoo", files=SHARDS, change=_change_shard, read=_read_zoo),
    "oracle": Kind(template="classifiers", files=SHARDS, change=_change_shard, read=_read_zoo),
    "align": Kind(template="zoo", files=SHARDS, change=_change_shard, read=_align_anew),
    "run": Kind(template="run", files=("run/run.json",), change=mutate_json, read=_read_run),
    "curve": Kind(template="run", files=("run/logs/**/metrics.csv",), change=mutate_csv, read=_read_curve),
    "last": Kind(template="resume", files=("run/checkpoints/last.ckpt",), change=mutate_checkpoint, read=_resume),
    "best": Kind(template="best", files=("run/checkpoints/best.ckpt",), change=mutate_checkpoint, read=_resume),
    "config": Kind(template="models", files=("*/config.json",), change=_change_model, read=_read_models),
    "model": Kind(template="models", files=("*/model.safetensors",), change=_change_model, read=_read_models),
    "alignment": Kind(template="alignment", files=("aligned/manifest.json",), change=mutate_json, read=_read_alignment),
    "permutations": Kind(
        template="alignment", files=("aligned/*.safetensors",), change=_change_alignment, read=_read_alignment
    ),
    "result": Kind(template="results", files=("out/tiny/smoke.json",), change=mutate_json, read=_reproduce),
    "measured": Kind(template="results", files=("work/measured/*.json",), change=mutate_json, read=_reproduce),
    "idx": Kind(template="images", files=("mnist/train-*",), change=_change_idx, read=_read_images("mnist")),
    "cifar": Kind(template="images", files=("cifar10/data_*",), change=mutate_cifar, read=_read_images("cifar10")),
    "population": Kind(
        template="population", files=("*.safetensors",), change=_change_whole, read=_read_population, odd=0
    ),
}
