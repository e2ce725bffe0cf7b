"""Starting a process under trial, and saying how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FOREIGN, LONGEST = ("Pytorch", "miniz", "weights_only", "FileNotFoundError", "RuntimeError"), 700
PATIENCE = 300.0  # seconds; nothing here takes so long


@dataclasses.dataclass(frozen=True)
class Ending:
    """The end of a process: exit code as a shell gives it (128 + signal), lines of stderr."""

    code: int
    errors: list[str]

    def __str__(self) -> str:
        first, count = (self.errors[-1][:200] if self.errors else "nothing"), len(self.errors)
        return f"exit {self.code}, stderr: {first}" + (f" (last of {count} lines)" if count > 1 else "")

    def failure(self) -> str:
        """Return what is wrong if it should have succeeded."""
        return "" if self.code == 0 else f"should succeed: {self}"

    def unclear(self, *names: object) -> str:
        """Return what is wrong if it should have been exit code 2 and one line that names one of these."""
        if self.code != 2:
            return f"no exit code 2: {self}"
        if len(self.errors) != 1 or not self.errors[0].startswith("wskan: "):
            return f"not one line: {self}"
        if "Errno" in self.errors[0]:
            return f"shows a number of an error: {self}"
        if any(word in self.errors[0] for word in FOREIGN) or len(self.errors[0]) > LONGEST:
            return f"quotes a library, or goes on too long: {self}"
        if names and not any(str(name) in self.errors[0] for name in names):
            return f"does not name {names[0]}: {self}"
        return ""

    def failed_unclearly(self, *names: object) -> str:
        """Return what is wrong if it should have succeeded or explained why not."""
        return "" if self.code == 0 else self.unclear(*names)


STARTED: list[Process] = []  # to be killed if the trial itself is interrupted


class Process:
    """A process under trial, the leader of a session of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.begin = time.perf_counter()
        self._errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (read when it has ended)
        self._popen = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
            preexec_fn=_heed,
        )
        self.pid = self._popen.pid
        STARTED.append(self)

    @property
    def running(self) -> bool:
        """Return whether it has not ended."""
        return self._popen.poll() is None

    def wait(self, seconds: float = PATIENCE) -> Ending:
        """Wait for its end; one that does not end is killed, with its children."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return Ending(-1, [f"still running after {seconds:.0f} s"])
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")
        return Ending(128 - code if code < 0 else code, [line for line in text.splitlines() if line.strip()])

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Wait until something holds; False if it does not before the process ends."""
        end = time.perf_counter() + seconds
        while self.running and time.perf_counter() < end:
            if holds():
                return True
            time.sleep(0.002)
        return False

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the whole group, as a terminal does, or to one process, unless it has ended."""
        if self.running:  # not yet waited for: its number cannot be another's
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to it and to what is left of its session."""
        self.send(signal.SIGKILL)
        self._popen.wait()
        for pid in _session(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def orphans(self, within: float = 3.0) -> list[int]:
        """Return the processes of its session that are left after some seconds."""
        end = time.perf_counter() + within
        while (left := _session(self.pid)) and time.perf_counter() < end:
            time.sleep(0.05)
        return left


def _heed() -> None:
    """Let signals through that this process ignores, as one under ``nohup`` or in the background does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _session(leader: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found
