"""States in 8 bits as instructions of a kernel: see `thalweg.kernels.eight_bits`, bit for bit.

A place in the map is computed, and not looked up, so that a loop over elements is vectorised.
"""

from __future__ import annotations

import itertools
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from thalweg.kernels.eight_bits import DECADES, MAPS, SIGNED, UNSIGNED, Map
from thalweg.kernels.numba.intrinsics import promise

_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()


@intrinsic
def no_size(_context: Any) -> Any:
    """What `larger_size` begins with."""

    def generate(_target: Any, _builder: ir.IRBuilder, _signature: Any, _arguments: list[Any]) -> Any:
        return _I32(0)

    return types.int32(), generate


@intrinsic
def larger_size(_context: Any, _largest: Any, _value: Any) -> Any:
    """The larger of a size so far and that of a number, as integers in the order of the sizes; NaN is the largest."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        size = builder.and_(builder.bitcast(arguments[1], _I32), _I32(2**31 - 1))
        return builder.select(builder.icmp_signed(">", size, arguments[0]), size, arguments[0])

    return types.int32(types.int32, types.float32), generate


@intrinsic
def as_size(_context: Any, _largest: Any) -> Any:
    """The number that `larger_size` has found."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        return builder.bitcast(arguments[0], _F32)

    return types.float32(types.int32), generate


def _loader(dtype: Any) -> Any:
    one = MAPS[dtype]

    @intrinsic(prefer_literal=True)
    def load(_context: Any, _address: Any, _index: Any, _absmax: Any, slot: Any) -> Any:
        """The number that a code at an address stands for, in a block whose largest size is known."""

        def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            at = builder.gep(builder.inttoptr(arguments[0], _I8.as_pointer()), [arguments[1]])
            instruction = builder.load(at, typ=_I8)
            promise(builder.module, instruction, slot.literal_value)
            if dtype == UNSIGNED:
                size = _size(builder, builder.zext(instruction, _I32), one)
                return builder.fmul(size, arguments[2])
            code = builder.sext(instruction, _I32)
            is_negative = builder.icmp_signed("<", code, _I32(0))
            size = _size(builder, builder.select(is_negative, builder.neg(code), code), one)
            is_flipped = builder.and_(is_negative, builder.icmp_signed(">", code, _I32(-one.top)))
            return builder.fmul(builder.select(is_flipped, builder.fneg(size), size), arguments[2])

        return types.float32(types.int64, types.int64, types.float32, slot), generate

    return load


def _storer(dtype: Any) -> Any:
    one = MAPS[dtype]

    @intrinsic(prefer_literal=True)
    def store(_context: Any, _address: Any, _index: Any, _value: Any, _absmax: Any, slot: Any) -> Any:
        """Write the code of a number, in a block whose largest size is known."""

        def generate(target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            address, index, value, absmax = arguments[:4]
            divisor = builder.select(builder.fcmp_ordered("==", absmax, _F32(0.0)), _F32(1.0), absmax)
            is_negative = builder.fcmp_ordered("<", value, _F32(0.0))
            size = builder.select(is_negative, builder.fneg(value), value)
            place = _place(builder, builder.fdiv(size, divisor), one)
            if dtype == UNSIGNED:
                code = builder.select(is_negative, _I32(0), place)
            else:
                last = _I32(one.top - 1)
                low = builder.select(builder.icmp_signed(">", place, last), last, place)
                code = builder.select(is_negative, builder.neg(low), place)
            at = builder.gep(builder.inttoptr(address, _I8.as_pointer()), [index])
            promise(builder.module, builder.store(builder.trunc(code, _I8), at), slot.literal_value)
            return target.get_dummy_value()

        return types.void(types.int64, types.int64, types.float32, types.float32, slot), generate

    return store


def _size(builder: ir.IRBuilder, place: Any, one: Map) -> Any:
    """The size at a place of the map."""
    bits = builder.bitcast(builder.sitofp(builder.add(place, _I32(2**one.first_bits - 1)), _F32), _I32)
    exponent = builder.sub(builder.lshr(bits, _I32(23)), _I32(127))
    fraction = builder.bitcast(builder.or_(builder.and_(bits, _I32(2**23 - 1)), _I32(127 << 23)), _F32)
    half = builder.bitcast(builder.shl(builder.sub(_I32(126), exponent), _I32(23)), _F32)
    share = builder.fadd(builder.fsub(fraction, _F32(1.0)), half)
    decade = _F32(10.0 ** (1 - DECADES))
    for above in range(1, DECADES):
        is_above = builder.icmp_signed(">=", exponent, _I32(above + one.first_bits))
        decade = builder.select(is_above, _F32(10.0 ** (above + 1 - DECADES)), decade)
    inside = builder.fmul(decade, builder.fadd(_F32(0.1), builder.fmul(_F32(0.9), share)))
    size = builder.select(builder.icmp_signed("==", place, _I32(one.top)), _F32(1.0), inside)
    return builder.select(builder.icmp_signed("==", place, _I32(0)), _F32(0.0), size)


def _place(builder: ir.IRBuilder, size: Any, one: Map) -> Any:
    """The place of the map that is nearest to a size."""
    lowest, *others, last = one.edges
    is_something = builder.fcmp_ordered(">", size, _F32(lowest))
    is_top = builder.fcmp_ordered(">", size, _F32(last))
    size = builder.select(builder.and_(is_something, builder.not_(is_top)), size, _F32(0.5))
    scale, exponent = _F32(10.0 ** (DECADES - 1)), _I32(one.first_bits)
    for above, edge in zip(itertools.count(1), others, strict=False):
        is_above = builder.fcmp_ordered(">", size, _F32(edge))
        scale = builder.select(is_above, _F32(10.0 ** (DECADES - 1 - above)), scale)
        exponent = builder.select(is_above, _I32(above + one.first_bits), exponent)
    count = builder.bitcast(builder.shl(builder.add(exponent, _I32(127)), _I32(23)), _F32)
    above_lowest = builder.fsub(builder.fmul(size, scale), _F32(0.1))
    steps = builder.fmul(builder.fmul(above_lowest, _F32(1 / 0.9)), count)
    number = builder.fptosi(builder.select(builder.fcmp_ordered("<", steps, _F32(0.0)), _F32(0.0), steps), _I32)
    whole = builder.shl(_I32(1), exponent)
    last_one = builder.sub(whole, _I32(1))
    number = builder.select(builder.icmp_signed(">", number, last_one), last_one, number)
    place = builder.sub(builder.add(number, whole), _I32(2**one.first_bits - 1))
    place = builder.select(is_top, _I32(one.top), place)
    return builder.select(is_something, place, _I32(0))


load_int8, load_uint8 = _loader(SIGNED), _loader(UNSIGNED)
store_int8, store_uint8 = _storer(SIGNED), _storer(UNSIGNED)
