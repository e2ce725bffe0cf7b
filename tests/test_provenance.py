import json
import subprocess

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


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    monkeypatch.setattr(module, "_version", lambda name: None)
    assert provenance()["commit"] == "unknown"
