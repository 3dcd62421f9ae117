"""States in 8 bits as Triton's functions: see `thalweg.kernels.eight_bits`, bit for bit.

As on the CPU, a place in the map is computed and not looked up. The largest sizes of blocks are compared as integers,
of which a NaN is the largest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.kernels.columns import BLOCK
from thalweg.kernels.eight_bits import DECADES, MAPS, SIGNED

if TYPE_CHECKING:
    from thalweg.kernels.eight_bits import Map

SIZES = f'''\
@jit
def largest_sizes(values, is_there, BLOCKS: tl.constexpr):
    """The largest size in each of some blocks in a row."""
    bits = tl.where(is_there, values.to(tl.int32, bitcast=True) & 0x7FFFFFFF, 0)
    most = tl.reduce(tl.reshape(bits, (BLOCKS, {BLOCK})), 1, tl.standard._elementwise_max)
    return most.to(tl.float32, bitcast=True)


@jit
def of_each(sizes, BLOCKS: tl.constexpr):
    """What blocks in a row have one of, for each of their elements."""
    return tl.reshape(tl.broadcast_to(sizes[:, None], (BLOCKS, {BLOCK})), (BLOCKS * {BLOCK},))


@jit
def load_sizes(at, first, count, BLOCKS: tl.constexpr):
    """The largest sizes of the blocks in a row that begin with an element."""
    block = tl.arange(0, BLOCKS)
    to = at.to(tl.pointer_type(tl.float32)) + first // {BLOCK} + block
    return tl.load(to, mask=first + {BLOCK} * block < count, other=0.0)


@jit
def store_sizes(at, first, sizes, count, BLOCKS: tl.constexpr):
    block = tl.arange(0, BLOCKS)
    to = at.to(tl.pointer_type(tl.float32)) + first // {BLOCK} + block
    tl.store(to, sizes, mask=first + {BLOCK} * block < count)
'''
_CODES = '''\
@jit
def size_{name}(place):
    """The size at a place of the map."""
    bits = (place + {below_first}).to(tl.float32).to(tl.int32, bitcast=True)
    exponent = (bits >> 23) - 127
    fraction = ((bits & 0x7FFFFF) | {one}).to(tl.float32, bitcast=True)
    half = ((126 - exponent) << 23).to(tl.float32, bitcast=True)
    share = (fraction - 1.0) + half
    decade = {decades}
    inside = decade * (0.1 + 0.9 * share)
    return tl.where(place == 0, 0.0, tl.where(place == {top}, 1.0, inside))


@jit
def place_{name}(size):
    """The place of the map that is nearest to a size."""
    is_something, is_top = size > {lowest!r}, size > {highest!r}
    size = tl.where(is_something & (size <= {highest!r}), size, 0.5)
    scale = {scales}
    exponent = {exponents}
    count = ((exponent + 127) << 23).to(tl.float32, bitcast=True)
    steps = ((size * scale - 0.1) * {widths!r}) * count
    whole = tl.full((), 1, tl.int32) << exponent
    number = tl.where(steps < 0.0, 0.0, steps).to(tl.int32)
    number = tl.where(number > whole - 1, whole - 1, number)
    place = tl.where(is_top, {top}, number + whole - {below_first})
    return tl.where(is_something, place, 0)


@jit
def from_{name}(codes, sizes):
    """The numbers that codes stand for, in blocks of these largest sizes."""
    code = codes.to(tl.int32)
    {decode}


@jit
def to_{name}(values, sizes):
    """The codes of numbers, in blocks of these largest sizes."""
    size = tl.where(values < 0, -values, values)
    place = place_{name}(tl.div_rn(size, tl.where(sizes == 0, 1.0, sizes)))
    {encode}
'''
_SIGNED = (
    "return tl.where((code < 0) & (code > -{top}), -1.0, 1.0) * size_{name}(tl.where(code < 0, -code, code)) * sizes",
    "return tl.where(values < 0, -tl.where(place == {top}, {top} - 1, place), place)",
)
_UNSIGNED = ("return size_{name}(code) * sizes", "return tl.where(values < 0, 0, place)")


def _cases(name: str, edges: list[str], values: list[str]) -> str:
    """The last value whose edge is reached."""
    text = values[0]
    for edge, value in zip(edges, values[1:], strict=True):
        text = f"tl.where({name} {edge}, {value}, {text})"
    return text


def _functions(name: str, one: Map, *, signed: bool) -> str:
    lowest, *others, highest = one.edges
    beyond = [f"> {edge!r}" for edge in others]
    reached = [f">= {decade + one.first_bits}" for decade in range(1, DECADES)]
    decode, encode = (text.format(name=name, top=one.top) for text in (_SIGNED if signed else _UNSIGNED))
    return _CODES.format(
        name=name,
        below_first=2**one.first_bits - 1,
        one=127 << 23,
        decades=_cases("exponent", reached, [repr(10.0 ** (decade + 1 - DECADES)) for decade in range(DECADES)]),
        top=one.top,
        lowest=lowest,
        highest=highest,
        scales=_cases("size", beyond, [repr(10.0 ** (DECADES - 1 - decade)) for decade in range(DECADES)]),
        exponents=_cases("size", beyond, [str(decade + one.first_bits) for decade in range(DECADES)]),
        widths=1 / 0.9,
        decode=decode,
        encode=encode,
    )


FUNCTIONS = {
    name: _functions(name, one, signed=dtype == SIGNED)
    for dtype, one in MAPS.items()
    for name in [str(dtype).removeprefix("torch.")]
}
"""The functions that turn codes into numbers and back, by the dtype of the codes."""
