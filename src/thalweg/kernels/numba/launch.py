"""Runs a kernel over the tensors of a table, on the threads that torch already keeps.

The threads are those of torch's own OpenMP runtime (its `GOMP_parallel`), so the two never fight for the cores. A
process that was forked runs its kernels on one thread, since no OpenMP pool outlives a fork.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from thalweg.kernels.numba.emit import WORDS
from thalweg.kernels.numba.pieces import Words, jobs

if TYPE_CHECKING:
    from thalweg.kernels.numba.compile import Kernel


class Block:
    """What a kernel is told: the addresses of its tables, and the words through which its threads agree.

    `addresses` has a row for each tensor and a column for each slot, `rows` the place of each tensor's constants in
    `constants`. All three may be changed between launches, in place. `tables` are those of coarse values, by their
    names in `thalweg.kernels.numba.emit.WORDS`, and the numbers beside them. `bounds` are those of the jobs, where they
    are known.
    """

    def __init__(
        self,
        tensors: int,
        slots: int,
        constants: int,
        precision: type,
        pieces: Sequence[tuple[int, ...]] | Words,
        bounds: Words | None = None,
    ) -> None:
        self.addresses: Words = np.zeros((tensors, slots), dtype=np.int64)
        self.rows: Words = np.zeros(tensors, dtype=np.int64)
        self.constants = np.zeros((1, max(constants, 1)), dtype=precision)
        self._pieces = np.array(pieces, dtype=np.int64)
        self._jobs = jobs(list(pieces)) if bounds is None else bounds
        self._words = np.zeros(8 + len(WORDS), dtype=np.int64)
        self._words[5] = len(self._jobs) - 1
        self._place_tables()

    def resize_constants(self, rows: int) -> None:
        """Make room for more rows of constants."""
        self.constants = np.zeros((rows, self.constants.shape[1]), dtype=self.constants.dtype)
        self._place_tables()

    def set_words(self, tables: Mapping[str, np.ndarray[Any, Any] | int]) -> None:
        """Tables of coarse values, which the caller keeps, and their lengths, by their names in `WORDS`."""
        for name, value in tables.items():
            self._words[WORDS[name]] = value if isinstance(value, int) else value.ctypes.data

    def run(self, kernel: Kernel) -> int | None:
        """Run the kernel; gives the place of the first tensor with a gradient that is not finite, if it looked."""
        threads = self._begin()
        _launcher()(kernel.address, self._at, threads)
        return self._first()

    def run_with(self, start: Callable[[int, int, int], bool], kernel: Kernel) -> tuple[bool, int | None]:
        """The same, launched by `start` with the addresses of kernel and block and the threads; whether it was."""
        return start(kernel.address, self._at, self._begin()), self._first()

    def _begin(self) -> int:
        """Get ready for a launch; gives the number of threads."""
        self._words[6] = 0
        self._words[7] = len(self.rows)
        return 1 if _FORKED.is_set() else min(torch.get_num_threads(), int(self._words[5]))

    def _first(self) -> int | None:
        first = int(self._words[7])
        return first if first < len(self.rows) else None

    def _place_tables(self) -> None:
        tables = (self.addresses, self._jobs, self._pieces, self.rows, self.constants)
        self._words[:5] = [table.ctypes.data for table in tables]
        self._at = self._words.ctypes.data


Launcher: TypeAlias = Callable[[int, int, int], None]


@functools.cache
def _launcher() -> Launcher:
    """How to call a C function on several threads at once: by its address, its argument, the number of threads."""
    alone = ctypes.CFUNCTYPE(None, ctypes.c_int64)
    address = parallel_address()
    if not address:
        return functools.partial(_launch_on_pool, alone)
    parallel = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint, ctypes.c_uint)(address)

    def launch(kernel: int, block: int, threads: int) -> None:
        if threads > 1:
            parallel(kernel, block, threads, 0)
        else:
            alone(kernel)(block)

    return launch


@functools.cache
def parallel_address() -> int:
    """Where the `GOMP_parallel` of torch's OpenMP runtime is; 0 if torch brings none."""
    try:
        return ctypes.cast(torch_library().GOMP_parallel, ctypes.c_void_p).value or 0
    except (OSError, AttributeError):
        return 0


@functools.cache
def torch_library() -> ctypes.CDLL:
    """The library through which torch's own functions and those of its OpenMP runtime can be found."""
    folder = Path(str(torch.__file__)).parent / "lib"
    return ctypes.CDLL(str(next(iter(folder.glob("libtorch_cpu.*")), folder)))


def _launch_on_pool(alone: Callable[[int], Callable[[int], None]], address: int, block: int, threads: int) -> None:
    """Where torch brings no OpenMP that we can call: Python's threads, which a call by ctypes lets run."""
    function = alone(address)
    others = [_pool().submit(function, block) for _ in range(threads - 1)]
    function(block)
    for other in others:
        other.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="thalweg")


_FORKED = threading.Event()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_FORKED.set)
