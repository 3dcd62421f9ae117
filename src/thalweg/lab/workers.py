"""Who does the running: processes that take tasks and give back records.

Every worker is a fresh process with its own threads; only the parent writes to the store, so that no two
writers wait for each other and a worker that dies takes nothing with it but the runs in its hands. Models
as small as a race's gain nothing from a second thread (two workers of one thread beat one of two), so that
by default each core gets a worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Self

from thalweg.errors import RaceError

if TYPE_CHECKING:
    from collections.abc import Generator

    from thalweg.lab.contest import Task
    from thalweg.lab.records import RunRecord


def cores() -> int:
    """How many cores this process may use, hyper-threads counted one by one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """So many processes that run tasks. One worker is this process itself.

    Use it as a context: leaving it ends the processes, whatever they are doing.
    """

    def __init__(self, count: int, *, threads: int) -> None:
        self._count = count
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None
        self._before: set[int | None] = set()
        self._running: dict[Future[tuple[RunRecord, ...]], Task] = {}
        self._waiting: list[Task] = []
        self._own_threads = 0

    def __enter__(self) -> Self:
        if self._count == 1:
            self._own_threads = set_threads(self._threads)
        return self

    def __exit__(self, *_: object) -> None:
        if self._count == 1:
            set_threads(self._own_threads)
        if self._pool is None:
            return
        started = [child for child in multiprocessing.active_children() if child.pid not in self._before]
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in started:
            child.terminate()
        for child in started:
            child.join()

    @property
    def idle(self) -> bool:
        """Whether a task would be begun at once."""
        return len(self._running) + len(self._waiting) < self._count

    @property
    def busy(self) -> bool:
        """Whether some task has begun and not ended."""
        return bool(self._running or self._waiting)

    def begin(self, task: Task) -> None:
        """Give a task to a worker."""
        if self._count == 1:
            self._waiting.append(task)
            return
        if self._pool is None:
            self._before = {child.pid for child in multiprocessing.active_children()}
            self._pool = ProcessPoolExecutor(
                self._count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare,
                initargs=(self._threads,),
            )
        with _interrupts_held():  # the first task starts the processes, which inherit this
            self._running[self._pool.submit(run_task, task)] = task

    def ended(self) -> tuple[Task, tuple[RunRecord, ...]]:
        """Wait for a task to end, and take its records."""
        if self._waiting:
            task = self._waiting.pop(0)
            return task, run_task(task)
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        future = min(done, key=list(self._running).index)
        task = self._running.pop(future)
        try:
            return task, future.result()
        except BrokenProcessPool as error:
            raise RaceError(
                "a worker process died, perhaps for want of memory; the runs that ended are in the store: "
                "run the same command again to go on, with fewer --workers if it dies again"
            ) from error


def run_task(task: Task) -> tuple[RunRecord, ...]:
    """Run a task in this process."""
    from thalweg.lab.entries import SurfaceReference  # noqa: PLC0415 (PyTorch is imported in the workers)
    from thalweg.lab.surface_runs import run_on_surface  # noqa: PLC0415 (as above)
    from thalweg.lab.training_runs import run_training  # noqa: PLC0415 (as above)

    return run_on_surface(task) if isinstance(task.problem, SurfaceReference) else (run_training(task),)


def set_threads(count: int) -> int:
    """Let PyTorch use so many threads in this process; the answer is how many it used before."""
    import torch  # noqa: PLC0415 (as above)

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return before


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Hold Ctrl-C back: processes started meanwhile never hear it, and this one hears it at the end.

    Ctrl-C reaches every process at once, and what it means is for the parent to decide. A process inherits
    which signals are blocked, so that it is deaf from its first instruction on.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows: a worker is deaf once it has begun
        yield
        return
    resource_tracker.ensure_running()  # its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        _ = signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(threads: int) -> None:
    _ = signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _ = set_threads(threads)


def _die_with_parent() -> None:
    """A parent killed outright cannot end its workers, and they would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
