import dataclasses
import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from same_function import RAW

from wskan.errors import DataError
from wskan.models import (
    WSKAN,
    FlatMLP,
    FlatMLPConfig,
    ImageCNN,
    ImageCNNConfig,
    WSKANConfig,
    build_model,
    load_model,
    save_model,
)

CONFIG = WSKANConfig(widths=(2, 4, 1), edge_dim=9, out_dim=3, hidden=8, num_layers=1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(WSKAN(CONFIG), tmp_path / "model")
    return tmp_path / "model"


def test_the_hub_mixin_loads_it_too(saved: Path) -> None:
    ours, theirs = load_model(saved), WSKAN.from_pretrained(saved)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    card = (saved / "README.md").read_text()
    assert "widths like [2, 4, 1] and 9 features per edge, and returns\n3 numbers per graph" in card


@pytest.mark.parametrize(
    "change",
    [
        {"model": "os.system"},
        {"model": 3},
        {"model": []},
        {"model": "mlp", "widths": [65536] * 4, "edge_dim": 65536},
        {"widths": [2, 10**9, 1]},
        {"widths": "abc"},
        {"hidden": 10**9},
        {"hidden": 16},
        {"num_layers": True},
        {"dropout": 2},
        {"readout": "both"},
        {"positional_encoding": 1},
        {"unknown": 1},
    ],
)
def test_malformed_configurations_are_refused(saved: Path, change: dict[str, object]) -> None:
    path = saved / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError):
        load_model(saved)


@pytest.mark.parametrize(("hidden", "refused"), [(128, False), (4096, True)])
def test_models_that_would_fill_the_memory_are_refused(hidden: int, refused: bool) -> None:
    config = FlatMLPConfig(
        widths=(784, 32, 32, 10), edge_dim=10, out_dim=1, readout="edge", hidden=hidden, num_layers=2
    )
    with (
        torch.device("meta"),
        pytest.raises(DataError, match=r"mlp would have 1,1\d\d,.* GB.*choose a smaller") if refused else nullcontext(),
    ):
        build_model(config)


def test_checking_the_size_of_a_model_draws_no_random_numbers() -> None:
    torch.manual_seed(3)
    expected = WSKAN(CONFIG)
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(build_model(CONFIG).parameters(), expected.parameters(), strict=True))


def test_damaged_files_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no model"):
        load_model(tmp_path)
    path = saved / "model.safetensors"
    tensors = load_file(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_model(saved)
    bad = {name: tensor.clone() for name, tensor in tensors.items()}
    next(iter(bad.values())).fill_(float("nan"))
    save_file(bad, path)
    with pytest.raises(DataError, match="not finite"):
        load_model(saved)
    save_file(dict(list(tensors.items())[1:]), path)
    with pytest.raises(DataError, match="missing"):
        load_model(saved)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_model(saved)
    for text in ("{", "[]", "[" * 200_000, " " * 2**21):
        (saved / "config.json").write_text(text)
        with pytest.raises(DataError):
            load_model(saved)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_weights_of_another_precision_are_refused_by_name(saved: Path, dtype: torch.dtype) -> None:
    path = saved / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "head.second.bias": tensors["head.second.bias"].to(dtype)}, path)
    with pytest.raises(DataError, match=rf"head\.second\.bias \({dtype}\).*not in single precision"):
        load_model(saved)


@pytest.mark.parametrize("name", ["standardize.edge_std", "standardize.node_std"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_statistics_that_cannot_be_divided_by_are_refused(tmp_path: Path, name: str, value: float) -> None:
    save_model(WSKAN(dataclasses.replace(CONFIG, node_dim=2)), tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors[name][0] = value
    save_file(tensors, path)
    with pytest.raises(DataError, match=rf"{name}.*not positive"):
        load_model(tmp_path)


def test_variances_below_zero_are_refused(tmp_path: Path) -> None:
    save_model(ImageCNN(ImageCNNConfig(**{**RAW, "side": 8})), tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("running_var"))
    tensors[name][0] = -1.0
    save_file(tensors, path)
    with pytest.raises(DataError, match=rf"{name}.*not positive"):
        load_model(tmp_path)


def test_weights_that_are_no_file_or_too_large_a_one_are_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    with path.open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="not a regular file of at most"):
        load_model(saved)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file of at most"):
        load_model(saved)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"a": 1, "a": 2}', b"[" * 10**6, b" " * 2**21])
def test_from_pretrained_checks_as_much(saved: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="holds a WSKAN, not a FlatMLP"):
        FlatMLP.from_pretrained(saved)
    (saved / "config.json").write_bytes(content)
    with pytest.raises(DataError) as error:
        WSKAN.from_pretrained(saved)
    assert str(error.value).isprintable()
    (saved / "config.json").unlink()
    with pytest.raises(DataError, match="holds no model"):
        WSKAN.from_pretrained(saved)
    with pytest.raises(DataError, match="is not a folder"):
        WSKAN.from_pretrained(saved / "nowhere")


def test_a_full_disk_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        save_model(WSKAN(CONFIG), tmp_path)


def test_configurations_round_trip() -> None:
    assert WSKANConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG
    assert build_model(CONFIG.to_dict()).config == CONFIG
