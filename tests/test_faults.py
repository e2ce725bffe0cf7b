"""The quick part of ``make faults``: real processes that are killed, interrupted and given bad disks and files."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, links and disks are tried on Linux")
def test_no_promise_breaks_in_the_quick_part() -> None:
    command = [sys.executable, "-m", "faults", "--quick"]
    result = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
