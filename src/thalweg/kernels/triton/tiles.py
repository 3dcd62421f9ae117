"""How matrices are divided for kernels that know rows and columns: into tiles, each some rows of some columns.

The division depends on the shapes alone, and each tile's sums have places of their own, so that sums are the same
whenever they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.kernels.triton.tables import Words

WORDS = (
    "tensor",
    "matrix",
    "start",
    "columns",
    "rows",
    "width",
    "row_at",
    "column_at",
    "row_part",
    "row_parts",
    "column_part",
    "column_parts",
    "part",
)
"""A tile in 64-bit words: its tensor and matrix, its first element in the tensor, the matrix's columns, its own
rows and columns (`width`), the places of its first row and column among all, where it writes what it gathers for them
and how far apart, and its place among all tiles."""
BAND = 128
"""The most rows that a tile has."""
NARROW = 64
"""Up to how many columns a matrix is narrow."""


@dataclass(frozen=True)
class Tiles:
    """The tiles of tensors, those that are stepped by blocks of equal width together."""

    of_width: dict[int, Words]
    """By the width of a block: the words of its tiles, a row for each."""
    per_matrix: Words
    """How many tiles each matrix has, how many parts of a sum there are for each row, and for each column."""
    per_row: Words
    per_column: Words


def block_width(rows: int, columns: int, elements: int) -> int:
    """How many columns a block of so many elements has, for matrices of such a shape."""
    if columns <= NARROW:
        return 16
    return min(elements, 128 if rows >= elements // 128 else 512)


def divide_by_row(stacks: Sequence[tuple[int, int, int]], elements: int) -> Tiles:
    """The tiles of tensors that are stacks of matrices (how many, rows, columns), for blocks of so many elements."""
    found: dict[int, list[Words]] = {}
    per_matrix, per_row, per_column = ([np.zeros(0, np.int64)] for _ in range(3))
    begun = {"matrix": 0, "row": 0, "column": 0, "row_part": 0, "column_part": 0, "part": 0}
    for tensor, (batch, rows, columns) in enumerate(stacks):
        width = block_width(rows, columns, elements)
        bands, strips = -(-rows // BAND), -(-columns // width)
        inside, band, strip = (axis.reshape(-1) for axis in np.indices((batch, bands, strips)))
        row, column = band * BAND, strip * width
        words: dict[str, Any] = {
            "tensor": tensor,
            "matrix": begun["matrix"] + inside,
            "start": inside * rows * columns + row * columns + column,
            "columns": columns,
            "rows": np.minimum(BAND, rows - row),
            "width": np.minimum(width, columns - column),
            "row_at": begun["row"] + inside * rows + row,
            "column_at": begun["column"] + inside * columns + column,
            "row_part": begun["row_part"] + (inside * rows + row) * strips + strip,
            "row_parts": strips,
            "column_part": begun["column_part"] + (inside * columns + column) * bands + band,
            "column_parts": bands,
            "part": begun["part"] + np.arange(len(inside)),
        }
        columned = np.stack([np.broadcast_to(words[name], inside.shape) for name in WORDS], axis=1)
        found.setdefault(width, []).append(columned.astype(np.int64))
        per_matrix.append(np.full(batch, bands * strips))
        per_row.append(np.full(batch * rows, strips))
        per_column.append(np.full(batch * columns, bands))
        begun["matrix"] += batch
        begun["row"] += batch * rows
        begun["column"] += batch * columns
        begun["row_part"] += batch * rows * strips
        begun["column_part"] += batch * columns * bands
        begun["part"] += len(inside)
    return Tiles(
        {width: np.concatenate(some) for width, some in found.items()},
        *(np.concatenate(some) for some in (per_matrix, per_row, per_column)),
    )
