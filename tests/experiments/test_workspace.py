import subprocess
import sys
from pathlib import Path

import pytest

# Ctrl-C goes to all processes of a terminal at once.
INTERRUPTED = """
import multiprocessing, os, signal, sys, threading

if __name__ == "__main__":
    from pathlib import Path
    from wskan.experiments import SCALES, Plan, Workspace

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does not have
    plans = [Plan(scale=SCALES["smoke"], dataset="digits", method="mlp", rate=1e-3, seed=seed) for seed in (0, 1)]
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
