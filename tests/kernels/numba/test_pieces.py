"""Pieces cover every element once, and jobs every piece."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kernels.numba.pieces import JOB, LONG_JOB, MANY_JOBS, MATRIX, MOST_PARTS, PIECE, bands, jobs, stretches


@pytest.mark.parametrize(
    "sizes", [[], [1], [JOB - 1, 1, 1], [PIECE, PIECE + 1, 3 * PIECE - 1], [5] * 10_000, [0, 7, 0]]
)
def test_stretches_cover_every_element_once(sizes: list[int]) -> None:
    pieces = stretches(sizes)
    covered = [np.zeros(size, dtype=int) for size in sizes]
    for tensor, start, stop in pieces:
        assert 0 < stop - start <= PIECE
        covered[tensor][start:stop] += 1
    assert all((count == 1).all() for count in covered)
    check_jobs(pieces)


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize(
    "stacks",
    [
        [(1, 1, 1)],
        [(1, 1, 100_000), (1, 100_000, 1)],
        [(1, 1000, 300), (5, 7, 3), (1, 2, 2)],
        [(4096, 3, 3)],
        [(2, 40_000, 5)],
    ],
)
def test_bands_cover_every_row_once_and_know_their_places(stacks: list[tuple[int, int, int]], few: bool) -> None:
    pieces = bands(stacks, few=few)
    covered = [np.zeros(batch * rows, dtype=int) for batch, rows, _ in stacks]
    all_rows = sum(batch * rows for batch, rows, _ in stacks)
    seen_rows, parts, at_matrix = np.zeros(all_rows, dtype=int), 0, {}
    for piece in pieces:
        named = dict(zip(MATRIX, piece, strict=True))
        count = named["stop"] - named["start"]
        assert named["columns"] == stacks[named["tensor"]][2]
        covered[named["tensor"]][named["start"] : named["stop"]] += 1
        seen_rows[named["row_at"] : named["row_at"] + count] += 1
        assert named["part_at"] == parts
        parts += named["columns"]
        assert at_matrix.setdefault(named["matrix"], named["column_at"]) == named["column_at"]
    assert all((count == 1).all() for count in covered)
    assert (seen_rows == 1).all()
    of_matrix = np.bincount([piece[3] for piece in pieces])
    assert len(of_matrix) == sum(batch for batch, _, _ in stacks)
    assert not few or of_matrix.max() <= MOST_PARTS
    columns = [stack[2] for stack in stacks for _ in range(stack[0])]
    assert [at_matrix[matrix] for matrix in range(len(columns))] == list(np.cumsum([0, *columns[:-1]]))
    check_jobs(pieces)


@pytest.mark.parametrize("size", [10**6, 10**7, 10**8])
def test_jobs_grow_with_the_model_and_leave_some_for_every_thread(size: int) -> None:
    pieces = stretches([size])
    elements = np.diff([pieces[bound][1] for bound in jobs(pieces)[:-1]])
    assert elements.max() <= LONG_JOB + PIECE
    assert elements.min() >= min(size // MANY_JOBS, LONG_JOB)


def check_jobs(pieces: list[tuple[int, ...]]) -> None:
    bounds = jobs(pieces)
    assert bounds[0] == 0
    assert bounds[-1] == len(pieces)
    assert (np.diff(bounds) > 0).all()
