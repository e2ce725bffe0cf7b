"""The quick part of ``make faults``: real processes that are killed, interrupted and given bad disks and files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMITED = """
import errno, sys
from pathlib import Path
from faults import quota
disk = Path(sys.argv[1])
quota.limit(Path(sys.argv[2]))
(disk / "first").write_bytes(bytes(5000))  # two blocks of three
with (disk / "second").open("wb", buffering=0) as file:
    assert file.write(bytes(5000)) == 4096
    try:
        file.write(b"x")
    except OSError as error:
        assert error.errno == errno.ENOSPC
    else:
        sys.exit("no limit")
(disk / "first").write_text("less")
(disk / "third").write_text("fits now")
(disk.parent / "elsewhere").write_bytes(bytes(99_999))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it asks /proc for names of open files")
def test_the_stand_in_for_a_small_disk_limits_what_python_writes(tmp_path: Path) -> None:
    disk, limits = tmp_path / "disk", tmp_path / "limits.json"
    disk.mkdir()
    limits.write_text(f'{{"{disk}": {3 * 4096}}}')
    command = [sys.executable, "-c", LIMITED, str(disk), str(limits)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    assert (disk / "second").stat().st_size == 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, links and disks are tried on Linux")
def test_a_disk_is_filled_where_none_can_be_mounted() -> None:
    command = [sys.executable, "-m", "faults", "--quick", "disks:"]
    environment = os.environ | {"FAULTS_MOUNTS": "no"}
    result = subprocess.run(
        command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 kept, 0 broken, 0 skipped" in result.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, links and disks are tried on Linux")
def test_no_promise_breaks_in_the_quick_part() -> None:
    command = [sys.executable, "-m", "faults", "--quick"]
    result = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
