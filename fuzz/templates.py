"""Valid folders and files of every kind, made once in a second or two and copied for each mutant."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import torch
from safetensors.torch import save, save_file

from fuzz import experiment
from fuzz.images import RECORD
from wskan.align import align_zoo
from wskan.experiments import Workspace, reproduce
from wskan.experiments.engine.closed_form import closed_form
from wskan.graph import EVALUABLE, FeatureConfig, KANGraph, kan_graph
from wskan.kan import FitConfig
from wskan.kan.oracle import masks_above
from wskan.models import MODELS, ModelConfig, build_model, save_model
from wskan.tasks import TrainConfig, get_task, train
from wskan.tasks.module import TrainingModule
from wskan.testing import random_population
from wskan.zoo import ClassifierConfig, Recipe, Zoo, open_zoo
from wskan.zoo.manifest import Manifest, Shard, sha256, shard_path

KANS = random_population((2, 3, 1), 12, 0, keep=1.0)
CLASSIFIERS = random_population((2, 3, 2), 12, 1, keep=1.0)
TASK = get_task("inr-classification")
TRAINING = TrainConfig(epochs=2, batch_size=6, patience=0, warmup_steps=1)
ALIGN = {"subset": 6}


def recipe(classifiers: bool = False) -> Recipe:
    """Return the recipe of one of the two zoos, with 6 + 3 + 3 KANs in two shards."""
    spec, rest = (CLASSIFIERS if classifiers else KANS).spec, {}
    fit = FitConfig()
    if classifiers:
        fit = dataclasses.replace(fit, loss="cross_entropy")
        rest = {"classifier": ClassifierConfig(scores=True, storage="float16")}
    return Recipe(name="tiny", dataset="digits", spec=spec, fit=fit, train=6, val=3, test=3, shard_size=6, **rest)


def write_zoo(folder: Path, classifiers: bool = False) -> Zoo:
    """A zoo on disk of random KANs, with every column, mask and score that its kind may have."""
    asked, kans = recipe(classifiers), CLASSIFIERS if classifiers else KANS
    entries = []
    for index in range(asked.num_shards):
        rows = torch.tensor(asked.shard_rows(index))
        tensors = kans[rows].tensors()
        facts = {"index": rows, "split": asked.splits()[rows], "seed": rows, "attempts": 0 * rows, "loss": rows / 12.0}
        if classifiers:
            facts |= {"noise": rows / 12.0, "accuracy": 0.9 - rows / 24.0}
            tensors = {name: t if name.endswith("knots") else t.half() for name, t in tensors.items()}
            scores = [layer.coef[rows].square().mean(-1) for layer in kans.layers]
            masks = masks_above(kans[rows], scores, 0.1)
            tensors |= {f"oracle.{i}": mask.to(torch.uint8) for i, mask in enumerate(masks)}
            tensors |= {f"score.{i}": score.clamp_min(1e-6).log().half() for i, score in enumerate(scores)}
        else:
            facts |= {"source": rows, "psnr": 40 + rows.float(), "label": rows % 10}
        tensors |= {f"facts.{name}": column for name, column in facts.items()}
        path = shard_path(folder, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save({name: t.clone().contiguous() for name, t in tensors.items()}))
        entries.append(Shard(sha256(path), path.stat().st_size, len(rows), 1.0))
    Manifest(asked, tuple(entries), {"torch": "2.13.0", "data": "a note"}).write(folder)
    return open_zoo(folder)


def model_config(name: str = "mlp") -> ModelConfig:
    """A small model of one of the names in ``MODELS``, and of any KANs of the zoo."""
    features, cls = features_of(name), MODELS[name][1]
    own = {"probes": 8} if name == "probe_gen" else {"side": 8} if name == "image_cnn" else {}
    return cls(
        model=name,
        widths=KANS.spec.widths,
        edge_dim=features.edge_dim(KANS.spec),
        node_dim=features.node_dim(KANS.spec),
        bias_dim=features.bias_dim,
        out_dim=10,
        hidden=8,
        num_layers=2,
        **cls.fields_of(KANS.spec),
        **own,
    )


def features_of(name: str) -> FeatureConfig:
    """Return the features that a model reads."""
    return EVALUABLE if name in ("probe_gen", "image_cnn") else FeatureConfig()


def graph(name: str) -> KANGraph:
    """Return the KANs that a model is tried on."""
    return kan_graph(KANS[:4], features_of(name))


def train_tiny(zoo: Zoo, folder: Path) -> object:
    """Train or resume the run that all mutants of runs come from."""
    return train(zoo, folder, task=TASK, model=model_config(), config=TRAINING, features=FeatureConfig(), device="cpu")


@contextmanager
def _stopped(name: str, count: int) -> Iterator[None]:
    """Let a method of the training module be called ``count`` times, then interrupt."""
    method, calls = getattr(TrainingModule, name), 0

    def counted(self: TrainingModule, *arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > count:
            raise KeyboardInterrupt
        return method(self, *arguments)

    setattr(TrainingModule, name, counted)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        setattr(TrainingModule, name, method)


def make_templates(folder: Path) -> None:
    """Write all of them; each kind names the one that it mutates."""
    zoo = write_zoo(folder / "zoo")
    write_zoo(folder / "classifiers", classifiers=True)
    with _stopped("training_step", 1):  # in the second epoch of two, of one step each
        write_zoo(folder / "resume" / "zoo")
        train_tiny(zoo, folder / "resume" / "run")
    write_zoo(folder / "best" / "zoo")
    _unfinish(train_tiny(zoo, folder / "best" / "run").folder)  # type: ignore[attr-defined]
    write_zoo(folder / "run" / "zoo")
    train_tiny(zoo, folder / "run" / "run")
    write_zoo(folder / "alignment" / "zoo")
    align_zoo(open_zoo(folder / "alignment" / "zoo"), folder / "alignment" / "aligned", **ALIGN)
    for name in MODELS:
        torch.manual_seed(0)
        save_model(build_model(model_config(name)), folder / "models" / name)
    (folder / "population").mkdir()
    save_file(KANS.tensors(), folder / "population" / "kans.safetensors")
    _write_images(folder / "images")
    _write_results(folder / "results")


def _unfinish(folder: Path) -> None:
    """Leave a run as a process does that was killed after its last epoch."""
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({"finished": False, "asked": record["asked"]}))


def _write_images(root: Path) -> None:
    rng = Random(0)
    (root / "mnist").mkdir(parents=True)
    (root / "cifar10").mkdir()
    for part in ("train", "t10k"):
        images, labels = rng.randbytes(20 * 784), bytes(i % 10 for i in range(20))
        header = b"\0\0\x08\3" + struct.pack(">3I", 20, 28, 28)
        (root / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(header + images)
        (root / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1" + struct.pack(">I", 20) + labels)
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = b"".join(bytes([i]) + rng.randbytes(RECORD - 1) for i in range(10)) * 10
        (root / "cifar10" / name).write_bytes(records)


def _write_results(folder: Path) -> None:
    workspace = Workspace(folder=folder / "work", device="cpu")
    write_zoo(workspace.zoo_folder(recipe(classifiers=True)), classifiers=True)
    closed_form(workspace, recipe(classifiers=True))
    experiment.drawing = True  # so that what draws is loaded before the children are made
    reproduce(experiment.EXPERIMENT, experiment.REQUEST, workspace, folder / "out")
