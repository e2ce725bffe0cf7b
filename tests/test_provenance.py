import json
import subprocess
from pathlib import Path

import pytest

from wskan import provenance as module
from wskan.provenance import provenance


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("/somewhere/bin/wskan train /data/zoo", "wskan train zoo"),
        ("benchmarks/align.py --kans 3", "python align.py --kans 3"),
    ],
)
def test_it_names_command_commit_machine_and_versions(monkeypatch: pytest.MonkeyPatch, typed: str, kept: str) -> None:
    monkeypatch.setattr("sys.argv", typed.split())
    found = provenance()
    json.dumps(found)
    assert found["command"] == kept
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["torch"]


def test_results_do_not_make_the_source_dirty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("source.py", "results/table.json", "results/benchmarks/time.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "source.py"))
    clean = provenance()["commit"]
    assert len(clean) == 12
    for name in ("results/table.json", "results/benchmarks/time.json"):
        (tmp_path / name).write_text("2")
    assert provenance()["commit"] == clean
    (tmp_path / "source.py").write_text("2")
    assert provenance()["commit"] == f"{clean}-dirty"


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    monkeypatch.setattr(module, "_version", lambda name: None)
    assert provenance()["commit"] == "unknown"
