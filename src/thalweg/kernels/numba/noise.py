"""Random numbers, and rounding by them, as instructions of a kernel: see `thalweg.kernels.noise`, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from thalweg.kernels.noise import BLOCK, LANES, MULTIPLIERS, ROUNDS, WEYL

if TYPE_CHECKING:
    from collections.abc import Callable

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_BLOCK_BITS = BLOCK.bit_length() - 1


@intrinsic
def uniform(_context: Any, seed: Any, _seed_high: Any, _step: Any, _step_high: Any, _key: Any, _place: Any) -> Any:
    """A number in [0, 1): of a seed and a step in two words each, a tensor's key, and an element's place in it."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        *by, place = arguments
        inside = builder.and_(place, _I64(BLOCK - 1))
        counter = _counter(builder, builder.lshr(place, _I64(_BLOCK_BITS)), builder.and_(inside, _I64(LANES - 1)))
        word, *others = _draw(builder, by, counter)
        for at, other in enumerate(others, start=1):
            word = builder.select(builder.icmp_unsigned("<", inside, _I64(at * LANES)), word, other)
        return word

    return types.float32(seed, seed, seed, seed, types.int64, types.int64), generate


@intrinsic
def draw_uniform(
    _context: Any, seed: Any, _seed_high: Any, _step: Any, _step_high: Any, _key: Any, _block: Any, _lane: Any, _to: Any
) -> Any:
    """The same for four elements of a block of 256, which `lane` and every 64th after it are, to a place in memory."""

    def generate(target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        *by, block, lane, to = arguments
        start = builder.inttoptr(to, _F32.as_pointer())
        for at, word in enumerate(_draw(builder, by, _counter(builder, block, lane))):
            builder.store(word, builder.gep(start, [builder.add(lane, _I64(at * LANES))]))
        return target.get_dummy_value()

    return types.void(seed, seed, seed, seed, *[types.int64] * 4), generate


@intrinsic
def scratch(_context: Any) -> Any:
    """The address of room for a block of float32, on the stack of the thread: the same whenever it is come by."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, _arguments: list[Any]) -> Any:
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(_F32, BLOCK))
            room.align = 64  # pyright: ignore[reportAttributeAccessIssue]  # its type knows None alone
            return builder.ptrtoint(room, _I64)

    return types.int64(), generate


def _counter(builder: ir.IRBuilder, block: Any, lane: Any) -> Any:
    return builder.add(builder.mul(block, _I64(LANES)), lane)


def _draw(builder: ir.IRBuilder, by: list[Any], place: Any) -> list[Any]:
    """Four numbers in [0, 1), as float32: of seed, step and key, and of a counter."""
    whole, step = (_join(builder, *by[at : at + 2]) for at in (0, 2))
    counter = [place, builder.lshr(place, _I64(32)), step, by[4]]
    words = _philox(builder, counter, [whole, builder.lshr(whole, _I64(32))])
    return [builder.fmul(builder.uitofp(builder.lshr(word, _I32(8)), _F32), _F32(2.0**-24)) for word in words]


def _join(builder: ir.IRBuilder, low: Any, high: Any) -> Any:
    low, high = (builder.fptosi(word, _I64) for word in (low, high))
    return builder.add(low, builder.shl(high, _I64(24)))


def _philox(builder: ir.IRBuilder, counter: list[Any], key: list[Any]) -> tuple[Any, ...]:
    """Four random words of 32 bits; counter and key come as integers of 64 bits, of which the lower 32 count."""
    c0, c1, c2, c3 = (builder.trunc(word, _I32) for word in counter)
    k0, k1 = (builder.trunc(word, _I32) for word in key)
    for _ in range(ROUNDS):
        products = [
            builder.mul(builder.zext(word, _I64), _I64(factor))
            for word, factor in zip((c0, c2), MULTIPLIERS, strict=True)
        ]
        first, second = (builder.trunc(builder.lshr(one, _I64(32)), _I32) for one in products)
        low_first, low_second = (builder.trunc(one, _I32) for one in products)
        c0, c2 = builder.xor(builder.xor(second, c1), k0), builder.xor(builder.xor(first, c3), k1)
        c1, c3 = low_second, low_first
        k0, k1 = builder.add(k0, _I32(WEYL[0])), builder.add(k1, _I32(WEYL[1]))
    return c0, c1, c2, c3


def _ditherer(dithering: Callable[[ir.IRBuilder, Any, Any], Any]) -> Any:
    """A number as a narrower dtype keeps it, up or down by another one; a NaN as it is."""

    @intrinsic
    def dithered(_context: Any, _value: Any, _uniform: Any) -> Any:
        def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            value, uniform_number = arguments
            is_nan = builder.fcmp_unordered("uno", value, value)
            return builder.select(is_nan, value, dithering(builder, value, uniform_number))

        return types.float32(types.float32, types.float32), generate

    return dithered


def _cut(builder: ir.IRBuilder, value: Any, u: Any, dropped: int) -> Any:
    """Without so many of the lower bits, or the next number up in size."""
    bits = builder.bitcast(value, _I32)
    taken = builder.fmul(builder.uitofp(builder.and_(bits, _I32(2**dropped - 1)), _F32), _F32(2.0**-dropped))
    kept = builder.and_(bits, _I32(-(2**dropped)))
    up = builder.select(builder.fcmp_ordered("<", u, taken), _I32(2**dropped), _I32(0))
    return builder.bitcast(builder.add(kept, up), _F32)


def _to_brain(builder: ir.IRBuilder, value: Any, u: Any) -> Any:
    return _cut(builder, value, u, 16)


def _to_half(builder: ir.IRBuilder, value: Any, u: Any) -> Any:
    """Below 2⁻¹⁴, float16 has the multiples of 2⁻²⁴."""
    sign = builder.and_(builder.bitcast(value, _I32), _I32(-(2**31)))
    size = builder.bitcast(builder.and_(builder.bitcast(value, _I32), _I32(2**31 - 1)), _F32)
    is_small = builder.fcmp_ordered("<", size, _F32(2.0**-14))
    scaled = builder.fmul(builder.select(is_small, size, _F32(0.0)), _F32(2.0**24))
    below = builder.sitofp(builder.fptosi(scaled, _I32), _F32)
    up = builder.select(builder.fcmp_ordered("<", u, builder.fsub(scaled, below)), _F32(1.0), _F32(0.0))
    small = builder.fmul(builder.fadd(below, up), _F32(2.0**-24))
    signed = builder.bitcast(builder.or_(builder.bitcast(small, _I32), sign), _F32)
    return builder.select(is_small, signed, _cut(builder, value, u, 13))


dithered_bfloat16 = _ditherer(_to_brain)
dithered_float16 = _ditherer(_to_half)
