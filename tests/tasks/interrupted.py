"""A small run that is interrupted: what the tests of checkpoints share."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wskan.graph import FeatureConfig
from wskan.models import WSKANConfig
from wskan.tasks import INRClassification, Run, TrainConfig, train
from wskan.tasks.module import TrainingModule
from wskan.testing import FakeZoo
from wskan.zoo import Zoo

TASK, EPOCHS, BATCHES = INRClassification(), 4, 2
CONFIG = TrainConfig(epochs=EPOCHS, batch_size=16, warmup_steps=5, patience=3)


def small_zoo() -> Zoo:
    return FakeZoo(train=40, val=12, test=12)


def model(zoo: Zoo) -> WSKANConfig:
    edge_dim = FeatureConfig().edge_dim(zoo.spec)
    return WSKANConfig(widths=zoo.spec.widths, edge_dim=edge_dim, out_dim=10, hidden=8, num_layers=1, dropout=0.3)


def go_on(zoo: Zoo, folder: Path, config: TrainConfig = CONFIG) -> Run:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of other numbers of threads differ in their last bits
    try:
        return train(zoo, folder, task=TASK, model=model(zoo), config=config, features=FeatureConfig(), device="cpu")
    finally:
        torch.set_num_threads(threads)


def stop_before(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = TrainingModule.training_step

    def stopped(self: TrainingModule, batch: Any, index: int) -> Tensor:
        if self.current_epoch == epoch:
            raise RuntimeError("killed")
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", stopped)


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def load(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(last(folder), weights_only=True)
    return content
