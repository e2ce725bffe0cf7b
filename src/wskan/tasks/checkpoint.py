"""What a run keeps of its last epoch, and what one that goes on takes from there."""

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

FACTS = ("best_model_score", "wait_count", "seconds")
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, each of the shape of its parameter


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A run after some epochs: all that is taken from ``last.ckpt``. Paths never are, and all else follows from the run at hand.

    Attributes:
        epochs: how many are finished.
        weights: of the training module, by name.
        moments: of the optimiser, by number of the parameter: ``step``, ``exp_avg`` and ``exp_avg_sq``.
        best: highest (lowest) validation score.
        waited: epochs since then, where training is to stop early.
        seconds: spent so far.
    """

    epochs: int
    weights: dict[str, Tensor]
    moments: dict[int, dict[str, Tensor]]
    best: float
    waited: int
    seconds: float


def write_last(
    path: Path, module: TrainingModule, optimizer: torch.optim.Optimizer, epoch: int, facts: Mapping[str, float]
) -> None:
    """Write what :func:`read_last` takes, at once or not at all.

    Args:
        path: ``last.ckpt``.
        module: what is trained.
        optimizer: its optimiser.
        epoch: which has just ended, counted from 0.
        facts: each of :data:`FACTS`.

    Raises:
        DataError: the disk is full or may not be written to; what existed is unchanged.
    """
    states = {"state_dict": module.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    _write(path, {"epoch": epoch, **states, "callbacks": {"wskan": dict(facts)}})


def write_weights(path: Path, module: TrainingModule) -> None:
    """Write what :func:`read_weights` takes, at once or not at all.

    Raises:
        DataError: the disk is full or may not be written to; what existed is unchanged.
    """
    _write(path, {"state_dict": module.state_dict()})


def _write(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()  # PyTorch's own writer hides why a disk fails
    torch.save(content, buffer)
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))


def read_weights(path: Path, module: TrainingModule) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Raises:
        DataError: it is not one of this model.
    """
    content = _read(path, module)
    try:
        return _weights(content, module)
    except ValueError as error:
        raise unreadable(path, str(error)) from error


def read_last(path: Path, module: TrainingModule, *, epochs: int, batches: int) -> Checkpoint:
    """Read where a run goes on from; those of Lightning, which earlier versions wrote, as well.

    Args:
        path: ``last.ckpt``.
        module: what is trained.
        epochs: for how long.
        batches: steps an epoch.

    Raises:
        DataError: it is not a checkpoint of such a run.
    """
    content = _read(path, module)
    try:
        done = _whole("epoch", content.get("epoch"), epochs - 1) + 1
        facts = _facts(content.get("callbacks"))
        return Checkpoint(
            epochs=done,
            weights=_weights(content, module),
            moments=_moments(content.get("optimizer_states"), list(module.model.parameters()), done * batches),
            best=_number("best_model_score", facts.get("best_model_score")),
            waited=_whole("wait_count", facts.get("wait_count", 0), epochs),
            seconds=_seconds(facts.get("seconds")),
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
    own, found = module.state_dict(), content.get("state_dict")
    if not isinstance(found, dict) or found.keys() != own.keys():
        raise ValueError("its weights have other names than the model's")
    weights = {name: _tensor(name, found[name], own[name]) for name in own}
    if bad := bad_statistics(weights):
        raise ValueError(f"{bad} are not positive and finite")
    return weights


def _moments(states: object, parameters: list[torch.nn.Parameter], steps: int) -> dict[int, dict[str, Tensor]]:
    """Of the optimiser's states; a parameter that has had no gradient has none."""
    state = states[0] if isinstance(states, list) and len(states) == 1 else None
    found = state.get("state") if isinstance(state, dict) else None
    if not isinstance(found, dict) or not all(type(key) is int and 0 <= key < len(parameters) for key in found):
        raise ValueError("it has no state of the optimiser, or that of another")
    moments = {}
    for key, own in found.items():
        if not isinstance(own, dict) or own.keys() != {"step", *MOMENTS}:
            raise ValueError(f"the optimiser's state of parameter {key} is not AdamW's")
        step = _number("step", own["step"])
        if not (1 <= step <= steps and step.is_integer()):
            raise ValueError(
                f"the optimiser's state of parameter {key} has made no number of steps from 1 to {steps:,}"
            )
        moments[key] = {name: _tensor(name, own[name], parameters[key]) for name in MOMENTS}
        moments[key]["step"] = torch.tensor(step)
    return moments


def _facts(callbacks: object) -> dict[str, Any]:
    """Those that are known, whatever callback states them."""
    if not isinstance(callbacks, dict):
        raise ValueError("it has no scores")
    facts: dict[str, Any] = {}
    for state in callbacks.values():
        for name in FACTS:
            if isinstance(state, dict) and state.get(name) is not None:
                facts.setdefault(name, state[name])
    return facts


def _tensor(name: str, value: object, like: Tensor) -> Tensor:
    """A copy of a tensor of the file's, which may be a view, as another's or of one number."""
    if type(value) is not Tensor or value.layout != torch.strided:
        raise ValueError(f"{name} is not a tensor")
    if (value.shape, value.dtype) != (like.shape, like.dtype):
        raise ValueError(
            f"{name} has shape {tuple(value.shape)!s:.100} and {value.dtype}, the model's {tuple(like.shape)} and {like.dtype}"
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
