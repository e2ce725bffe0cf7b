"""Processes that train side by side, and how signals reach them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import resource_tracker

import torch


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def new_pool(processes: int, threads: int) -> ProcessPoolExecutor:
    """Prepare a pool of fresh processes with a number of threads each. They end when this process is killed."""
    start_tracker()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(threads, os.getpid()))


@contextlib.contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Ignore Ctrl-C in this process and in processes that it starts meanwhile."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start_tracker() -> None:
    """Start Python's process that removes semaphores, with SIGHUP blocked.

    It ignores SIGINT and SIGTERM only, and a process that took its place would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, which has no such process
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threads: int, parent: int) -> None:
    """Set up a process of the pool: limit its threads, and end it when its parent is killed."""
    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
