"""Judge what happened to one mutant."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.kinds import Kind, NotFinite
from wskan.errors import WSKANError

LONGEST = 1_000  # characters of a message
ADVICE = ("Errno", "weights_only", "Traceback", "torch.serialization", "re-running")
OUTCOMES = ("fine", "refused", "message", "exception", "not finite", "time", "memory", "crash", "outside")
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"}
_NAMES = {"os.rename": 2, "os.link": 2}  # paths that an event names, if not one
COMMANDS = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "socket.getaddrinfo"}


class Outcome(NamedTuple):
    """One of ``OUTCOMES``, and what tells it from others of its sort."""

    name: str
    why: str = ""


class Watch:
    """Notes what this process does outside a folder while it is on: Python tells, through its audit hooks."""

    def __init__(self, allowed: tuple[Path, ...]) -> None:
        self.allowed, self.on, self.seen = tuple(os.path.realpath(path) for path in allowed), False, list[str]()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event in COMMANDS and not (event == "subprocess.Popen" and str(arguments[0]).endswith("git")):
            self.seen.append(f"{event} {arguments[:2]!r:.100}")
        elif event in CHANGES or (event == "open" and _writes(arguments)):
            paths = [os.fsdecode(path) for path in arguments[: _NAMES.get(event, 1)] if isinstance(path, str | bytes)]
            outside = [path for path in paths if os.path.isabs(path) and not self._inside(path, event)]
            self.seen += [f"{event} {path!r}" for path in outside]

    def _inside(self, path: str, event: str) -> bool:
        """Resolve where a path really lies; a link that is removed or renamed counts where the link lies."""
        head, tail = os.path.split(path)
        real = os.path.realpath(path) if event == "open" else os.path.join(os.path.realpath(head), tail)
        return real == "/dev/null" or any(os.path.commonpath([real, folder]) == folder for folder in self.allowed)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch from here to the end of the block."""
        self.seen, self.on = [], True
        try:
            yield
        finally:
            self.on = False


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def judge(kind: Kind, folder: Path, changed: Path, rng: Random, *, verbose: bool = False) -> Outcome:
    """Read a mutated folder, with what it prints in a strict UTF-8 terminal of its own."""
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            kind.read(folder, changed, rng)
        printed.seek(0)
        controls = {c for c in printed.read() if not c.isprintable() and c not in "\n\r\t"}
        return Outcome("message", f"prints control characters {sorted(controls)}") if controls else Outcome("fine")
    except WSKANError as error:
        if verbose:
            traceback.print_exc()
        problem = _problem(str(error))
        return Outcome("message", f"{problem}, {_where(error)}") if problem else Outcome("refused")
    except NotFinite as error:
        return Outcome("not finite", str(error))
    except MemoryError as error:
        return Outcome("memory", f"MemoryError, {_where(error)}")
    except BaseException as error:  # also SystemExit and what is no Exception
        if verbose:
            traceback.print_exc()
        if "allocate memory" in str(error):
            return Outcome("memory", f"{type(error).__name__}, {_where(error)}")
        return Outcome("exception", f"{type(error).__name__}, {_where(error)}: {str(error)[:80]!r}")


def _problem(message: str) -> str:
    """Return what is wrong with a message, if anything."""
    if len(message.splitlines()) > 1:
        return "several lines"
    if len(message) > LONGEST:
        return "too long"
    if not message.isprintable():
        return "control characters"
    return next((f"says {word}" for word in ADVICE if word in message), "")


def _where(error: BaseException) -> str:
    """The innermost line of wskan that it came through."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}wskan{os.sep}" in frame.filename
    ]
    frames = frames or list(traceback.extract_tb(error.__traceback__)[-1:])
    last = frames[-1]
    return f"{Path(last.filename).parent.name}/{Path(last.filename).name} {last.name}"
