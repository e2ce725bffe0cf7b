"""Checkpoints of strangers: only numbers are taken from them."""

import copy
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import BATCHES, CONFIG, EPOCHS, TASK, go_on, last, load, model, weights
from torch import Tensor

from wskan.errors import DataError, DivergedError
from wskan.models import build_model
from wskan.tasks.checkpoint import Checkpoint, read_last
from wskan.tasks.module import TrainingModule
from wskan.zoo import Zoo

Change = Callable[[dict[str, Any]], object]


def as_lightning_wrote_it(content: dict[str, Any], path: str) -> dict[str, Any]:
    """What earlier versions kept, every path in it replaced."""
    facts = content["callbacks"]["wskan"]
    score = torch.tensor(facts["best_model_score"])
    paths = dict.fromkeys(("dirpath", "best_model_path", "kth_best_model_path", "last_model_path"), path)
    keep = {**paths, "best_model_score": score, "best_k_models": {path: score}, "kth_value": score, "monitor": path}
    best = "'monitor': 'val_accuracy', 'mode': 'max', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
    best += "'train_time_interval': None"
    callbacks = {
        "Clock": {"seconds": facts["seconds"]},
        "EarlyStopping{'monitor': 'val_accuracy', 'mode': 'max'}": {
            "wait_count": facts["wait_count"],
            "best_score": score,
            "patience": 3,
        },
        **{f"{name}{{{best}}}": keep for name in ("MovableCheckpoint", "ModelCheckpoint", "Checkpoints")},
        "os.system": {"command": path, "nested": keep},
    }
    return {**content, "callbacks": callbacks, "pytorch-lightning_version": "0.1", "loops": {"fit_loop": path}}


@pytest.mark.parametrize(
    "name", ["{run}/checkpoints/../../victim", "local://{victim}", "{victim}", "http://127.0.0.1:9/x"]
)
def test_no_path_of_a_checkpoint_is_removed_written_or_requested(
    zoo: Zoo, run: Path, whole: bytes, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, requests = tmp_path / "victim", []
    victim.mkdir()
    (victim / "precious").write_text("x")
    content = load(run)
    content["callbacks"]["wskan"]["best_model_score"] = -1.0  # any epoch is better, and what was best may go
    torch.save(as_lightning_wrote_it(content, name.format(run=run, victim=victim)), last(run))
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: requests.append(arguments))
    before = sorted(tmp_path.iterdir())
    assert go_on(zoo, run).record["epochs"] == EPOCHS
    assert (victim / "precious").read_text() == "x"
    assert (sorted(tmp_path.iterdir()), requests) == (before, [])
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_runs_of_earlier_versions_go_on(zoo: Zoo, run: Path, whole: bytes) -> None:
    torch.save(as_lightning_wrote_it(load(run), str(run / "checkpoints")), last(run))
    assert weights(go_on(zoo, run).folder) == whole


def halves(content: dict[str, Any]) -> None:
    content["state_dict"] = {name: tensor.half() for name, tensor in content["state_dict"].items()}


def zeros(content: dict[str, Any]) -> None:
    content["state_dict"]["model.standardize.edge_std"].zero_()


def fewer_moments(content: dict[str, Any]) -> None:
    del content["optimizer_states"][0]["state"][0]["exp_avg"]


def more_parameters(content: dict[str, Any]) -> None:
    content["optimizer_states"][0]["state"][999] = content["optimizer_states"][0]["state"][0]


def never_stepped(content: dict[str, Any]) -> None:
    content["optimizer_states"][0]["state"][0]["step"] = torch.tensor(-1.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (halves, "torch.float16, the model's"),
        (zeros, "edge_std'] are not positive"),
        (fewer_moments, "not AdamW's"),
        (more_parameters, "or that of another"),
        (never_stepped, "step of parameter 0 is not a whole number from 1 to"),
        (lambda content: content["state_dict"].popitem(), "other names"),
        (lambda content: content.pop("optimizer_states"), "no state of the optimiser"),
        (lambda content: content.pop("callbacks"), "no scores"),
        (lambda content: content.update(epoch=10**400), "epoch is not a whole number from 0 to 3"),
        (lambda content: content.update(epoch=True), "epoch is not a whole number"),
        (lambda content: content["callbacks"]["wskan"].update(seconds=float("nan")), "not a time"),
        (lambda content: content["callbacks"]["wskan"].update(wait_count=-(10**400)), "wait_count is not"),
    ],
)
def test_checkpoints_of_another_structure_are_refused(zoo: Zoo, run: Path, change: Change, reason: str) -> None:
    content = load(run)
    change(content)
    torch.save(content, last(run))
    with pytest.raises(DataError) as error:
        go_on(zoo, run)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def containers(value: Any) -> Iterator[dict[Any, Any]]:
    """All dictionaries within."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from containers(item)


def mutate(content: dict[str, Any], draw: random.Random) -> None:
    """Remove, add or replace something, as likely in a small dictionary as in a large one."""
    numbers = [
        None,
        True,
        -1,
        0,
        2**63,
        10**400,
        -(10**400),
        float("nan"),
        float("-inf"),
        1e300,
        "x" * 1000,
        [],
        {},
        b"",
    ]
    tensors = [
        torch.tensor(float("nan")),
        torch.zeros(3, 5),
        torch.zeros(1).expand(2**20),
        torch.tensor(3),
        torch.eye(2).to_sparse(),
    ]
    place = draw.choice([item for item in containers(content) if item])
    key = draw.choice(list(place))
    if draw.random() < 0.2:
        del place[key]
    elif draw.random() < 0.2:
        place[draw.choice(["os.system", "../x", 10**400, -1, ("a",)])] = place.pop(key)
    elif isinstance(place[key], Tensor) and draw.random() < 0.5:
        place[key] = draw.choice(
            [place[key] * float("nan"), place[key].double(), place[key].flatten()[:1], -place[key], place[key].clone()]
        )
    else:
        place[key] = draw.choice([*numbers, *tensors])


def test_mutants_go_on_or_are_told_in_one_line(zoo: Zoo, run: Path, half: Path) -> None:
    module = TrainingModule(build_model(model(zoo)), TASK, CONFIG, EPOCHS * BATCHES)
    content, read, errors = load(run), 0, []
    for seed in range(300):
        mutant = copy.deepcopy(content)
        mutate(mutant, random.Random(seed))
        torch.save(mutant, last(run))
        try:
            assert isinstance(read_last(last(run), module, epochs=EPOCHS, batches=BATCHES), Checkpoint)
            read += 1
            if read % 12 == 1:
                go_on(zoo, run)
                shutil.rmtree(run)
                shutil.copytree(half, run)
        except (DataError, DivergedError) as error:
            errors.append(str(error))
    assert not [error for error in errors if "\n" in error or len(error) > 1000]
    assert min(read, len(errors)) > 50
