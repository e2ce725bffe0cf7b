import json
import subprocess

import pytest

from wskan import provenance as module
from wskan.provenance import provenance


def test_it_names_command_commit_machine_and_versions() -> None:
    found = provenance()
    json.dumps(found)
    assert found["command"].startswith("python ")
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["torch"]


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    monkeypatch.setattr(module, "_version", lambda name: None)
    assert provenance()["commit"] == "unknown"
