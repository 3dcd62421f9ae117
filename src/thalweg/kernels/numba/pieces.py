"""How the elements of all tensors are divided: into pieces that a kernel works off, and jobs that a thread takes.

The division depends on the shapes alone, so that a sum over pieces is the same on any number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from thalweg.formula.scalar import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

Words: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

FLAT = ("tensor", "start", "stop")
"""The words of a piece that is a stretch of a tensor."""
MATRIX = (*FLAT, "matrix", "columns", "row_at", "column_at", "part_at")
"""Those of one that is some rows of a matrix, with the places of its values among those of all rows and columns."""
PER_PIECE = frozenset({Level.MODEL, Level.TENSOR, Level.MATRIX})
"""Levels of which a piece sees one value."""
PIECE = 32_768
"""The most elements that one piece of a tensor has, if its rows are not longer."""
JOB = 8_192
"""How many elements make it worth a thread's while to take a job."""
LONG_JOB = 262_144
"""How many elements a job has at most: memory is quickest for a thread that goes on where it was."""
MANY_JOBS = 128
"""About how many jobs a model has at least, if it is large, so that the threads of any machine end at once."""
MOST_PARTS = 8
"""Into how many pieces a matrix is divided at most where its columns are summed: each piece has sums of its own."""


def stretches(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Pieces that are stretches of tensors of these sizes."""
    return [
        (tensor, start, min(start + PIECE, size))
        for tensor, size in enumerate(sizes)
        for start in range(0, size, PIECE)
    ]


def bands(stacks: Sequence[tuple[int, int, int]], *, few: bool) -> list[tuple[int, ...]]:
    """Pieces that are rows of matrices, the tensors given as stacks; `few` where columns are summed."""
    pieces: list[tuple[int, ...]] = []
    matrix = row_at = column_at = part_at = 0
    for tensor, (batch, rows, columns) in enumerate(stacks):
        band = max(1, PIECE // columns, -(-rows // MOST_PARTS) if few else 1)
        for inside in range(batch):
            for first in range(0, rows, band):
                last = min(first + band, rows)
                start = inside * rows
                pieces.append(
                    (tensor, start + first, start + last, matrix, columns, row_at + first, column_at, part_at)
                )
                part_at += columns
            matrix += 1
            row_at += rows
            column_at += columns
    return pieces


def jobs(pieces: Sequence[tuple[int, ...]]) -> Words:
    """The jobs, as bounds among the pieces."""
    sizes = [(stop - start) * (rest[1] if rest else 1) for _, start, stop, *rest in pieces]
    enough = max(JOB, min(sum(sizes) // MANY_JOBS, LONG_JOB))
    bounds = [0]
    waiting = 0
    for place, size in enumerate(sizes, start=1):
        waiting += size
        if waiting >= enough:
            bounds.append(place)
            waiting = 0
    if waiting:
        bounds.append(len(pieces))
    return np.array(bounds, dtype=np.int64)
