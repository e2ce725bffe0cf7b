import subprocess
import sys
from pathlib import Path

import pytest

from wskan.errors import DataError
from wskan.experiments import SCALES, Plan, Workspace

PLAN = Plan(scale=SCALES["smoke"], dataset="digits", method="mlp_align", lr=1e-3, seed=0)

# Ctrl-C goes to all processes of a terminal at once.
INTERRUPTED = """
import multiprocessing, os, signal, sys, threading

if __name__ == "__main__":
    from pathlib import Path
    from wskan.experiments import SCALES, Plan, Workspace

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does not have
    plans = [Plan(scale=SCALES["smoke"], dataset="digits", method="mlp", lr=1e-3, seed=seed) for seed in (0, 1)]
    workspace = Workspace(folder=Path(sys.argv[1]), device="cpu", jobs=2)
    threading.Timer(1.0, os.killpg, (0, signal.SIGINT)).start()  # workers are importing PyTorch
    try:
        workspace._train_in_processes(plans, print)
    except KeyboardInterrupt:
        assert not multiprocessing.active_children()
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups")
def test_ctrl_c_ends_workers_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    run = subprocess.run(
        [sys.executable, script, tmp_path / "work"], capture_output=True, text=True, timeout=120, start_new_session=True
    )
    assert (run.stdout, run.stderr, run.returncode) == ("interrupted\n", "", 0)


def test_nothing_is_made_through_a_link_in_a_workspace(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    workspace = Workspace(folder=tmp_path / "work", device="cpu")
    workspace.zoo(PLAN.recipe)
    for name, make in (
        ("aligned", lambda: workspace.aligned(PLAN.recipe)),
        ("runs", lambda: workspace.train(PLAN)),
        ("measured", lambda: workspace.cached({"of": "a test"}, lambda: 1, int)),
    ):
        (tmp_path / "work" / name).symlink_to(outside)
        with pytest.raises(DataError, match=f"{name} is a link"):
            make()
        (tmp_path / "work" / name).unlink()
    assert list(outside.iterdir()) == []


def test_a_finished_zoo_behind_a_link_is_read_and_an_unfinished_one_is_not_built(tmp_path: Path) -> None:
    workspace = Workspace(folder=tmp_path / "work", device="cpu")
    built = workspace.zoo(PLAN.recipe)
    (tmp_path / "work" / "zoos").rename(tmp_path / "outside")
    (tmp_path / "work" / "zoos").symlink_to(tmp_path / "outside")
    assert len(workspace.zoo(PLAN.recipe)) == len(built)
    shard = next((tmp_path / "outside").glob("*/shards/00000.safetensors"))
    shard.unlink()
    with pytest.raises(DataError, match="zoos is a link"):
        workspace.zoo(PLAN.recipe)
    assert not shard.exists()
