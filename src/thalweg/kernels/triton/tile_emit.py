"""Writes the kernel of a pass for plans that have values for matrices, rows or columns.

A program works off one tile, some rows of some columns of a matrix, block by block of rows. What it gathers for a row
or a column it writes to a place of its own; who launches it adds up the tiles' parts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Level
from thalweg.kernels.triton.body import STORAGE, VALUE, Body, block_size
from thalweg.kernels.triton.tiles import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Coarse, Plan, Reduction

_TEMPLATE = '''\
"""{title}"""

import triton.language as tl


{functions}{access}@jit
def update({arguments}, first, rows, width, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr, WHOLE: tl.constexpr):
    i = first + tl.arange(0, ROWS)[:, None]
    if WHOLE:
        columns = columns // {together} * {together}  # it is; and so Triton knows
    j = i * columns + tl.arange(0, COLUMNS)[None, :]
    inside = (i < rows) & (tl.arange(0, COLUMNS)[None, :] < width)
    {body}


@jit
def kernel({parameters}):
    ROWS: tl.constexpr = {rows}
    COLUMNS: tl.constexpr = {columns}
    tile = tl.program_id(0)
    {words}
    start = start * {itemsize}
    {before}
    for first in range(0, whole, ROWS):
        {keep}update({arguments}, first, rows, width, columns, ROWS, COLUMNS, True)
    for first in range(whole, rows, ROWS):
        {keep}update({arguments}, first, rows, width, columns, ROWS, COLUMNS, False)
'''
PER_TILE = frozenset({Level.MODEL, Level.TENSOR, Level.MATRIX})
"""Levels of which a tile sees one value."""


def emit_tiles(
    plan: Plan,
    dtype: str,
    *,
    width: int,
    guard: bool,
    place: int = -1,
    scaled: bool = False,
    stops: bool = False,
    dtypes: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text of the kernel of one of a plan's passes, for blocks of so many columns; see `emit` for the rest."""
    one = plan.passes[place]
    body = Body(plan, one, dtype, dtypes, guard=guard, scaled=scaled, stops=stops, within="inside")
    together = 16 // STORAGE[dtype]
    by_row = [c for c in body.coarse if c.value.level is Level.ROW]
    lines, after = [*_of_rows(plan, by_row), *body.lines()], [*_after(one.reductions), *body.after()]
    others = [c.name for c in body.coarse if c.value.level is not Level.ROW]
    rows = ["row_values", "row_at"] if by_row else []
    rows += ["row_sums", "row_part", "row_parts"] if any(r.level is Level.ROW for r in one.reductions) else []
    parameters = {"tensors": "i64", "tiles": "i64", "constants": body.kind, "wrong": "i32", **body.flags}
    parameters |= {"coarse": body.kind, "partials": "fp64", "row_values": body.kind, "row_sums": "fp64"}
    parameters |= {"column_values": body.kind, "column_sums": "fp64"}
    text = _TEMPLATE.format(
        title=body.title,
        functions=body.functions(lines, after),
        access=body.access(),
        arguments=", ".join(
            [*body.arguments, *body.constants, *others, *rows, *(["grad_scale"] * scaled), *body.carried]
        ),
        together=together,
        body="\n    ".join(lines),
        parameters=", ".join(f'{name}: "*{kind}"' for name, kind in parameters.items()),
        rows=block_size(dtype) // width,
        columns=width,
        words="\n    ".join(f"{word} = tl.load(tiles + {len(WORDS)} * tile + {at})" for at, word in enumerate(WORDS)),
        itemsize=STORAGE[dtype],
        before="\n    ".join(_before(body, together)),
        keep=f"{', '.join(body.carried)} = " if body.carried else "",
    )
    return text + "".join(f"    {line}\n" for line in after)


def _before(body: Body, together: int) -> list[str]:
    """Addresses, constants, and the coarse values of the tile and of its columns."""
    plan = body.plan
    lines = body.before("ROWS, COLUMNS")
    per_tile = [c for c in plan.coarse if c.value.level in PER_TILE]
    for c in body.coarse:
        if c in per_tile:
            lines.append(f"{c.name} = tl.load(coarse + {len(per_tile)} * matrix + {per_tile.index(c)})")
        elif c.value.level is Level.COLUMN:
            some = _of_level(plan, Level.COLUMN)
            at = f"column_values + {len(some)} * (column_at + tl.arange(0, COLUMNS)[None, :]) + {some.index(c)}"
            lines.append(f"{c.name} = tl.load({at}, mask=tl.arange(0, COLUMNS)[None, :] < width, other=0.0)")
    if body.stops:
        lines.append("rows = tl.where(tl.load(found_inf) == 0, rows, 0)")
    aligned = f"({' | '.join([*body.addresses, f'columns * {16 // together}'])}) % 16 == 0"
    return [*lines, f"whole = tl.where(({aligned}) & (width == COLUMNS), rows - rows % ROWS, 0)"]


def _of_rows(plan: Plan, asked: list[Coarse]) -> list[str]:
    """The values of a block's rows."""
    some = _of_level(plan, Level.ROW)
    return [
        f"{c.name} = tl.load(row_values + {len(some)} * (row_at + i) + {some.index(c)}, mask=i < rows, other=0.0)"
        for c in asked
    ]


def _after(reductions: tuple[Reduction, ...]) -> list[str]:
    """What the tile has gathered, for itself and for its columns."""
    per_tile = [r for r in reductions if r.level in PER_TILE]
    by_column = [r for r in reductions if r.level is Level.COLUMN]
    lines: list[str] = []
    for at, r in enumerate(per_tile):
        value = VALUE[r.value.operation]
        lines.append(f"{r.name} = {value.format(r.name, 1)}")
        lines.append(f"tl.store(partials + {len(per_tile)} * part + {at}, {value.format(r.name, 0)})")
    if by_column:
        lines.append("column = tl.arange(0, COLUMNS)")
    for at, r in enumerate(by_column):
        to = f"column_sums + {len(by_column)} * (column_part + column * column_parts) + {at}"
        lines.append(f"tl.store({to}, {VALUE[r.value.operation].format(r.name, 0)}, mask=column < width)")
    return lines


def _of_level(plan: Plan, level: Level) -> list[Coarse]:
    return [c for c in plan.coarse if c.value.level is level]
