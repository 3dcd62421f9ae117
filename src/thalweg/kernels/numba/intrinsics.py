"""The few instructions that a kernel needs and Python lacks: reading and writing at an address, taking a ticket.

Every load and store of an array carries the promise (LLVM's `noalias` scopes) that arrays of different slots do not
overlap, so that the loop is vectorised without checks at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from thalweg.kernels.numba.emit import MAXIMUM_SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_F16, _F32, _F64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()


@intrinsic
def word(_context: Any, _address: Any, _index: Any) -> Any:
    """The 64-bit integer at an address, counted in words."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        return builder.load(_element(builder, _I64, arguments), typ=_I64)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def take_ticket(_context: Any, _address: Any, _index: Any) -> Any:
    """The 64-bit integer at an address, which is one higher for whoever asks next."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        return builder.atomic_rmw("add", _element(builder, _I64, arguments), _I64(1), "monotonic")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def lower_to(_context: Any, _address: Any, _index: Any, _value: Any) -> Any:
    """Lower the 64-bit integer at an address to a value, if it is higher."""

    def generate(target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        builder.atomic_rmw("min", _element(builder, _I64, arguments[:2]), arguments[2], "monotonic")
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def put_word(_context: Any, _address: Any, _index: Any, _value: Any) -> Any:
    """Write a 64-bit integer at an address, counted in words."""

    def generate(target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        builder.store(arguments[2], _element(builder, _I64, arguments[:2]))
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _caller(result: Any, arguments: int, widen: Callable[[ir.IRBuilder, Any], Any]) -> Any:
    """A call of a C function at an address, with so many words and with a result that is widened to a word."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, values: list[Any]) -> Any:
        kind = ir.FunctionType(result, [_I64] * arguments)
        return widen(builder, builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:]))

    if arguments == 1:

        @intrinsic
        def call_with_one(_context: Any, _function: Any, _first: Any) -> Any:
            return types.int64(types.int64, types.int64), generate

        return call_with_one

    @intrinsic
    def call_with_two(_context: Any, _function: Any, _first: Any, _second: Any) -> Any:
        return types.int64(types.int64, types.int64, types.int64), generate

    return call_with_two


def _as_word(builder: ir.IRBuilder, value: Any) -> Any:
    return builder.sext(value, _I64)


def _as_bit(builder: ir.IRBuilder, value: Any) -> Any:
    return builder.and_(builder.zext(value, _I64), _I64(1))


call_for_pointer = _caller(_I64, 1, lambda _builder, value: value)
"""What a function of one pointer returns: a pointer."""
call_for_truth = _caller(ir.IntType(8), 1, _as_bit)
"""What a function of one pointer returns: a bool."""
call_for_answer = _caller(_I32, 2, _as_word)
"""The status of a function that writes its answer to its second pointer."""


@intrinsic
def call_with_block(_context: Any, _function: Any, _block: Any) -> Any:
    """Call a function of one pointer that returns nothing."""

    def generate(target: Any, builder: ir.IRBuilder, _signature: Any, values: list[Any]) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def call_with_threads(_context: Any, _launch: Any, _function: Any, _block: Any, _threads: Any) -> Any:
    """Call `GOMP_parallel`: a function on its block, on so many threads."""

    def generate(target: Any, builder: ir.IRBuilder, _signature: Any, values: list[Any]) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_I64, _I64, _I32, _I32])
        threads = builder.trunc(values[3], _I32)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [values[1], values[2], threads, _I32(0)])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def gather_total(_context: Any, _total: Any, value: Any) -> Any:
    """The total with one value more. The order of the sum is LLVM's to choose, so that the loop is vectorised."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        return builder.fadd(arguments[0], _as_double(builder, arguments[1]), flags=("reassoc",))  # pyright: ignore[reportCallIssue]

    return types.float64(types.float64, value), generate


@intrinsic
def nothing_larger(_context: Any) -> Any:
    """What `gather_largest` begins with."""

    def generate(_target: Any, _builder: ir.IRBuilder, _signature: Any, _arguments: list[Any]) -> Any:
        return _I64(-(2**63))

    return types.int64(), generate


@intrinsic
def gather_largest(_context: Any, _largest: Any, value: Any) -> Any:
    """The largest of the values so far and one more, as integers in the order of the numbers; NaN is the largest."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        number = _as_double(builder, arguments[1])
        key = _mirror(builder, builder.bitcast(number, _I64))
        key = builder.select(builder.fcmp_unordered("uno", number, number), _I64(2**63 - 1), key)
        return builder.select(builder.icmp_signed(">", key, arguments[0]), key, arguments[0])

    return types.int64(types.int64, value), generate


@intrinsic
def largest_value(_context: Any, _largest: Any) -> Any:
    """The number that `gather_largest` has found."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        return builder.bitcast(_mirror(builder, arguments[0]), _F64)

    return types.float64(types.int64), generate


@intrinsic
def larger(_context: Any, _number: Any, other: Any) -> Any:
    """The larger of two; NaN if one of them is."""

    def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
        a, b = arguments[0], _as_double(builder, arguments[1])
        return builder.select(builder.or_(builder.fcmp_unordered("uno", b, b), builder.fcmp_ordered(">", b, a)), b, a)

    return types.float64(types.float64, other), generate


def _as_double(builder: ir.IRBuilder, value: Any) -> Any:
    return builder.fpext(value, _F64) if value.type == _F32 else value


def _mirror(builder: ir.IRBuilder, bits: Any) -> Any:
    """Between a float's bits and an integer of the same order: negative numbers count the other way round."""
    return builder.xor(bits, builder.and_(builder.ashr(bits, _I64(63)), _I64(2**63 - 1)))


def _constant_reader(stored: Any, number: Any) -> Any:
    @intrinsic
    def constant(_context: Any, _address: Any, _index: Any) -> Any:
        def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            return builder.load(_element(builder, stored, arguments), typ=stored)

        return number(types.int64, types.int64), generate

    return constant


def _loader(stored: Any, number: Any, widen: Callable[[ir.IRBuilder, Any], Any]) -> Any:
    @intrinsic(prefer_literal=True)
    def load(_context: Any, _address: Any, _index: Any, slot: Any) -> Any:
        place: int = slot.literal_value

        def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            instruction = builder.load(_element(builder, stored, arguments[:2]), typ=stored)
            promise(builder.module, instruction, place)
            return widen(builder, instruction)

        return number(types.int64, types.int64, slot), generate

    return load


def _storer(stored: Any, number: Any, narrow: Callable[[ir.IRBuilder, Any], Any]) -> Any:
    @intrinsic(prefer_literal=True)
    def store(_context: Any, _address: Any, _index: Any, _value: Any, slot: Any) -> Any:
        place: int = slot.literal_value

        def generate(target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            narrowed = narrow(builder, arguments[2])
            instruction = builder.store(narrowed, _element(builder, stored, arguments[:2]))
            promise(builder.module, instruction, place)
            return target.get_dummy_value()

        return types.void(types.int64, types.int64, number, slot), generate

    return store


def _rounder(number: Any, narrow: Callable[[ir.IRBuilder, Any], Any], widen: Callable[[ir.IRBuilder, Any], Any]) -> Any:
    """A number as a dtype keeps it."""

    @intrinsic
    def stored(_context: Any, _value: Any) -> Any:
        def generate(_target: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[Any]) -> Any:
            return widen(builder, narrow(builder, arguments[0]))

        return number(number), generate

    return stored


def _element(builder: ir.IRBuilder, kind: Any, arguments: list[Any]) -> Any:
    address, index = arguments
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


def promise(module: ir.Module, instruction: Any, place: int) -> None:
    """Note on a load or a store that arrays of other slots lie elsewhere."""
    domain = module.add_metadata([ir.MetaDataString(module, "thalweg arrays")])
    scopes = [module.add_metadata([ir.MetaDataString(module, f"slot {k}"), domain]) for k in range(MAXIMUM_SLOTS)]
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[place]]))
    instruction.set_metadata("noalias", module.add_metadata([s for k, s in enumerate(scopes) if k != place]))


def _as_it_is(_builder: ir.IRBuilder, value: Any) -> Any:
    return value


def _half_to_single(builder: ir.IRBuilder, value: Any) -> Any:
    return builder.fpext(value, _F32)


def _single_to_half(builder: ir.IRBuilder, value: Any) -> Any:
    return builder.fptrunc(value, _F16)


def _brain_to_single(builder: ir.IRBuilder, value: Any) -> Any:
    """bfloat16 is the upper half of a float32."""
    return builder.bitcast(builder.shl(builder.zext(value, _I32), _I32(16)), _F32)


def _single_to_brain(builder: ir.IRBuilder, value: Any) -> Any:
    """Round to the nearest, ties to even; a NaN stays a NaN."""
    bits = builder.bitcast(value, _I32)
    odd = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
    rounded = builder.lshr(builder.add(bits, builder.add(odd, _I32(0x7FFF))), _I32(16))
    quiet_nan = builder.or_(builder.lshr(bits, _I32(16)), _I32(0x0040))
    is_nan = builder.fcmp_unordered("uno", value, value)
    return builder.trunc(builder.select(is_nan, quiet_nan, rounded), _I16)


constant_float32 = _constant_reader(_F32, types.float32)
constant_float64 = _constant_reader(_F64, types.float64)
load_float32 = _loader(_F32, types.float32, _as_it_is)
load_float64 = _loader(_F64, types.float64, _as_it_is)
load_float16 = _loader(_F16, types.float32, _half_to_single)
load_bfloat16 = _loader(_I16, types.float32, _brain_to_single)
store_float32 = _storer(_F32, types.float32, _as_it_is)
store_float64 = _storer(_F64, types.float64, _as_it_is)
store_float16 = _storer(_F16, types.float32, _single_to_half)
store_bfloat16 = _storer(_I16, types.float32, _single_to_brain)
stored_float32 = _rounder(types.float32, _as_it_is, _as_it_is)
stored_float64 = _rounder(types.float64, _as_it_is, _as_it_is)
stored_float16 = _rounder(types.float32, _single_to_half, _half_to_single)
stored_bfloat16 = _rounder(types.float32, _single_to_brain, _brain_to_single)
