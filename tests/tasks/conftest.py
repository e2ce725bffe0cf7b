import shutil
from pathlib import Path

import pytest
from interrupted import go_on, small_zoo, stop_before, weights

from wskan.zoo import Zoo


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    return small_zoo()


@pytest.fixture(scope="session")
def whole(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Weights of the run that nothing happens to."""
    return weights(go_on(zoo, tmp_path_factory.mktemp("whole") / "run").folder)


@pytest.fixture(scope="session")
def half(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run after two epochs."""
    folder = tmp_path_factory.mktemp("half") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_before(2, patch)
        with pytest.raises(RuntimeError, match="killed"):
            go_on(zoo, folder)
    return folder


@pytest.fixture
def run(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "run"))
