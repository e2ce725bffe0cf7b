"""The checkpoint after each epoch, from which an interrupted run resumes."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wskan.files import write_atomically
from wskan.models.saving import bad_statistics
from wskan.tasks.archive import read_archive, unreadable
from wskan.tasks.module import TrainingModule

PROGRESS = ("best_model_score", "wait_count", "seconds")
MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's names; each has the shape of its parameter


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """The state of a run after some epochs, as read from ``last.ckpt``.

    Paths in the file are never used. Everything else follows from the arguments of the run.

    Attributes:
        epochs: number of finished epochs.
        weights: weights of the training module by name.
        moments: states of the optimiser by number of the parameter: ``step``, ``exp_avg`` and ``exp_avg_sq``.
        best: best validation score so far.
        waited: epochs since the best score, for early stopping.
        seconds: training time so far.
    """

    epochs: int
    weights: dict[str, Tensor]
    moments: dict[int, dict[str, Tensor]]
    best: float
    waited: int
    seconds: float


def write_last(
    path: Path, module: TrainingModule, optimizer: torch.optim.Optimizer, epoch: int, progress: Mapping[str, float]
) -> None:
    """Write a checkpoint for :func:`read_last`, all or nothing.

    Args:
        path: ``last.ckpt``.
        module: module in training.
        optimizer: its optimiser.
        epoch: number of the epoch that has just ended, counted from 0.
        progress: a value for each of :data:`PROGRESS`.

    Raises:
        DataError: the disk is full or read-only. An existing checkpoint stays unchanged.
    """
    states = {"state_dict": module.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    _write(path, {"epoch": epoch, **states, "callbacks": {"wskan": dict(progress)}})


def write_weights(path: Path, module: TrainingModule) -> None:
    """Write weights for :func:`read_weights`, all or nothing.

    Raises:
        DataError: the disk is full or read-only. An existing checkpoint stays unchanged.
    """
    _write(path, {"state_dict": module.state_dict()})


def _write(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()  # PyTorch's own writer hides why a disk fails
    torch.save(content, buffer)
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))


def read_weights(path: Path, module: TrainingModule) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Raises:
        DataError: it is not a checkpoint of this model.
    """
    content = _read(path, module)
    try:
        return _weights(content, module)
    except ValueError as error:
        raise unreadable(path, str(error)) from error


def read_last(path: Path, module: TrainingModule, *, epochs: int, batches: int) -> Checkpoint:
    """Read the checkpoint from which a run resumes.

    Checkpoints of Lightning, which earlier versions wrote, are read as well.

    Args:
        path: ``last.ckpt``.
        module: module to train.
        epochs: number of epochs of the whole training.
        batches: steps per epoch.

    Raises:
        DataError: it is not a checkpoint of such a run.
    """
    content = _read(path, module)
    try:
        done = _whole("epoch", content.get("epoch"), epochs - 1) + 1
        progress = _progress(content.get("callbacks"))
        return Checkpoint(
            epochs=done,
            weights=_weights(content, module),
            moments=_moments(content.get("optimizer_states"), list(module.model.parameters()), done * batches),
            best=_number("best_model_score", progress.get("best_model_score")),
            waited=_whole("wait_count", progress.get("wait_count", 0), epochs),
            seconds=_seconds(progress.get("seconds")),
        )
    except ValueError as error:
        raise unreadable(path, str(error)) from error


def _read(path: Path, module: TrainingModule) -> dict[str, Any]:
    weights, parameters = module.state_dict().values(), list(module.model.parameters())
    content = read_archive(
        path, tensors=len(weights) + 3 * len(parameters), numbers=_numbers(weights) + 2 * _numbers(parameters)
    )
    if not isinstance(content, dict):
        raise unreadable(path, "it is not a checkpoint")
    return content


def _numbers(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _weights(content: Mapping[str, Any], module: TrainingModule) -> dict[str, Tensor]:
    expected, stored = module.state_dict(), content.get("state_dict")
    if not isinstance(stored, dict) or stored.keys() != expected.keys():
        raise ValueError("its weights have other names than the model's")
    weights = {name: _tensor(name, stored[name], expected[name]) for name in expected}
    if bad := bad_statistics(weights):
        raise ValueError(f"{bad} are not positive and finite")
    return weights


def _moments(states: object, parameters: list[torch.nn.Parameter], steps: int) -> dict[int, dict[str, Tensor]]:
    """Check the optimiser's states. A parameter that has never had a gradient has none."""
    state = states[0] if isinstance(states, list) and len(states) == 1 else None
    stored = state.get("state") if isinstance(state, dict) else None
    if not isinstance(stored, dict) or not all(type(key) is int and 0 <= key < len(parameters) for key in stored):
        raise ValueError("it has no state of the optimiser, or that of another")
    moments = {}
    for key, entry in stored.items():
        if not isinstance(entry, dict) or entry.keys() != {"step", *MOMENTS}:
            raise ValueError(f"the optimiser's state of parameter {key} is not AdamW's")
        step = _number("step", entry["step"])
        if not (1 <= step <= steps and step.is_integer()):
            raise ValueError(f"the optimiser's step of parameter {key} is not a whole number from 1 to {steps:,}")
        moments[key] = {name: _tensor(name, entry[name], parameters[key]) for name in MOMENTS}
        moments[key]["step"] = torch.tensor(step)
    return moments


def _progress(callbacks: object) -> dict[str, Any]:
    """Find the values of :data:`PROGRESS`, in the state of any callback."""
    if not isinstance(callbacks, dict):
        raise ValueError("it has no scores")
    progress: dict[str, Any] = {}
    for state in callbacks.values():
        for name in PROGRESS:
            if isinstance(state, dict) and state.get(name) is not None:
                progress.setdefault(name, state[name])
    return progress


def _tensor(name: str, value: object, like: Tensor) -> Tensor:
    """Copy a tensor of the file, which may be a view of another, or of a single number."""
    if type(value) is not Tensor or value.layout != torch.strided:
        raise ValueError(f"{name} is not a tensor")
    if (value.shape, value.dtype) != (like.shape, like.dtype):
        raise ValueError(
            f"{name} has shape {tuple(value.shape)!s:.100} and {value.dtype}, "
            f"the model's {tuple(like.shape)} and {like.dtype}"
        )
    return value.detach().clone(memory_format=torch.contiguous_format)


def _number(name: str, value: object) -> float:
    if type(value) is Tensor and value.numel() == 1 and value.is_floating_point():
        value = value.item()
    if type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not float:
        raise ValueError(f"its {name} is not a number")
    return value


def _whole(name: str, value: object, highest: int) -> int:
    if type(value) is not int or not 0 <= value <= highest:
        raise ValueError(f"its {name} is not a whole number from 0 to {highest:,}")
    return value


def _seconds(value: object) -> float:
    seconds = _number("seconds", value)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError("its seconds are not a time")
    return seconds
