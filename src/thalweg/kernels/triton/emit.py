"""Writes the kernel of a plan's pass as Python text that Triton compiles for any GPU, or interprets.

A program of the kernel works off one chunk, a stretch of one tensor, block by block. Whole blocks at addresses that are
multiples of 16 are read and written 16 bytes at a time; what is left, or lies otherwise, element by element. Where a
plan has values for matrices, rows or columns, see `thalweg.kernels.triton.tile_emit`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from thalweg.kernels.triton.body import STORAGE, VALUE, Body, block_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Plan

CHUNK = 4096
"""The most elements that a chunk has."""

_TEMPLATE = '''\
"""{title}"""

import triton.language as tl


{functions}{access}@jit
def update({arguments}, first, count, WHOLE: tl.constexpr):
    j = first + tl.arange(0, {block})
    {body}


@jit
def kernel({parameters}):
    chunk = tl.program_id(0)
    tensor = tl.load(chunks + 3 * chunk)
    start = tl.load(chunks + 3 * chunk + 1).to(tl.int64) * {chunk_bytes}
    count = tl.load(chunks + 3 * chunk + 2)
    {before}
    for first in range(0, whole, {block}):
        {keep}update({arguments}, first, count, True)
    for first in range(whole, count, {block}):
        {keep}update({arguments}, first, count, False)
'''


def emit(
    plan: Plan,
    dtype: str,
    *,
    guard: bool,
    place: int = -1,
    scaled: bool = False,
    stops: bool = False,
    dtypes: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text of the kernel of one of a plan's passes, for parameters of one dtype.

    Their states have it too, but for those that `dtypes` names.

    With `guard`, the first pass notes in `wrong` which tensors have a gradient that is not finite; a step of a single
    pass leaves such elements as they were. A kernel that `stops` does nothing where `found_inf` is not 0; the first of
    several then sets `stop`, for those to come, where it finds such a gradient. The first pass may be `scaled`: it
    takes gradients as `torch.amp.GradScaler` hands them to a fused optimizer, divides them by `grad_scale` and writes
    them back so. Raises `BackendError` for what no kernel can do.
    """
    body = Body(
        plan,
        plan.passes[place],
        dtype,
        dtypes,
        guard=guard,
        scaled=scaled,
        stops=stops,
        within="count",
    )
    lines, after, block = body.lines(), _after(body), block_size(dtype)
    scaling = ["grad_scale"] if scaled else []
    text = _TEMPLATE.format(
        title=body.title,
        functions=body.functions(lines, after),
        access=body.access(),
        arguments=", ".join(
            [*body.arguments, *body.constants, *(one.name for one in body.coarse), *scaling, *body.carried]
        ),
        block=block,
        body="\n    ".join(lines),
        parameters=", ".join(_parameters(body)),
        chunk_bytes=CHUNK * STORAGE[dtype],
        before="\n    ".join(_before(body, block)),
        keep=f"{', '.join(body.carried)} = " if body.carried else "",
    )
    return text + "".join(f"    {line}\n" for line in after)


def _parameters(body: Body) -> list[str]:
    """The tables, with the types of their words."""
    types = {"tensors": "i64", "chunks": "i32", "constants": body.kind, "wrong": "i32", **body.flags}
    if body.plan.levels:
        types |= {"coarse": body.kind, "partials": "fp64"}
    return [f'{name}: "*{kind}"' for name, kind in types.items()]


def _before(body: Body, block: int) -> list[str]:
    """Addresses, constants and coarse values of the chunk's tensor, and what sums begin with."""
    coarse = [one.name for one in body.plan.coarse]
    lines = body.before(f"{block},")
    lines += [f"{c.name} = tl.load(coarse + {len(coarse)} * tensor + {coarse.index(c.name)})" for c in body.coarse]
    if body.stops:
        lines.append("count = tl.where(tl.load(found_inf) == 0, count, 0)")
    return [*lines, f"whole = tl.where(({' | '.join(body.addresses)}) % 16 == 0, count - count % {block}, 0)"]


def _after(body: Body) -> list[str]:
    """What the chunk has found."""
    reductions = body.one.reductions
    lines = [
        f"tl.store(partials + {len(reductions)} * chunk + {at}, {VALUE[r.value.operation].format(r.name, 0)})"
        for at, r in enumerate(reductions)
    ]
    return [*lines, *body.after()]
