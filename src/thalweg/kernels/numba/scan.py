"""Finds parameters and gradients through torch's C interface: 150 in the time that Python takes for twenty.

Asking 150 tensors from Python for gradient, address, dtype and layout takes longer than stepping them. This asks the
same questions in compiled code: the stable C interface of torch where it has an answer (`aoti_torch_…`), four
exported functions of its C++ library where not. Where a torch lacks one of them, or a first trial gives other answers
than Python does, the binding goes on asking from Python.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.numba.compile import Kernel, compile_kernel
from thalweg.kernels.numba.launch import parallel_address, torch_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.kernels.numba.launch import Words

FUNCTIONS = (
    "_ZNK3c1010TensorImpl4gradEv",  # const Tensor& TensorImpl::grad() const
    "aoti_torch_get_data_ptr",
    "aoti_torch_get_dim",
    "aoti_torch_get_sizes",
    "aoti_torch_get_dtype",
    "aoti_torch_get_layout",
    "aoti_torch_is_contiguous",
    "_ZN2at6native6is_negERKNS_6TensorE",  # bool is_neg(const Tensor&)
    "_ZN2at6native12is_inferenceERKNS_6TensorE",  # bool is_inference(const Tensor&)
    "_ZN5torch8autograd4impl12bump_versionERKN2at6TensorE",  # void bump_version(const Tensor&)
)
_ENTRIES = (
    *("count", "mode", "found", "undefined", "slots", "dtype", "impls", "known", "dims", "sizes", "table"),
    *("objects", "behind"),
    *("kernel", "kernel_block", "threads", "parallel", "answer"),
    *(f"function_{place}" for place in range(len(FUNCTIONS))),
)
_AT = {name: place for place, name in enumerate(_ENTRIES)}
_FIND, _RUN, _BUMP = range(3)

TEXT = f'''\
"""Where parameters and gradients lie, and a launch if all are found; see thalweg.kernels.numba.scan for the block."""

from thalweg.kernels.numba.intrinsics import (
    call_for_answer,
    call_for_pointer,
    call_for_truth,
    call_with_block,
    call_with_threads,
    put_word,
    word,
)


def kernel(block):
    (count, mode) = (word(block, {_AT["count"]}), word(block, {_AT["mode"]}))
    (slots, dtype) = (word(block, {_AT["slots"]}), word(block, {_AT["dtype"]}))
    (impls, known, table) = (word(block, {_AT["impls"]}), word(block, {_AT["known"]}), word(block, {_AT["table"]}))
    (dims, sizes) = (word(block, {_AT["dims"]}), word(block, {_AT["sizes"]}))
    (objects, behind) = (word(block, {_AT["objects"]}), word(block, {_AT["behind"]}))
    answer = block + 8 * {_AT["answer"]}
    (grad_of, data_of, dim_of, sizes_of, dtype_of) = (
        word(block, {_AT["function_0"]}), word(block, {_AT["function_1"]}), word(block, {_AT["function_2"]}),
        word(block, {_AT["function_3"]}), word(block, {_AT["function_4"]}),
    )
    (layout_of, is_contiguous, is_neg, is_inference) = (
        word(block, {_AT["function_5"]}), word(block, {_AT["function_6"]}),
        word(block, {_AT["function_7"]}), word(block, {_AT["function_8"]}),
    )
    if mode == {_BUMP}:
        for i in range(count):
            call_with_block(word(block, {_AT["function_9"]}), impls + 8 * i)
        return
    put_word(block, {_AT["found"]}, 0)
    at = 0
    for i in range(count):
        if word(word(objects, i), behind) != word(impls, i):
            return
        parameter = impls + 8 * i
        gradient = call_for_pointer(grad_of, word(impls, i))
        if word(gradient, 0) == word(block, {_AT["undefined"]}) or call_for_truth(is_inference, parameter) != 0:
            return
        call_for_answer(data_of, parameter, answer)
        if word(answer, 0) != word(known, i):
            return
        for tensor in (parameter, gradient):
            put_word(answer, 0, 0)
            call_for_answer(layout_of, tensor, answer)
            if word(answer, 0) != 0 or call_for_truth(is_neg, tensor) != 0:
                return
            call_for_answer(dtype_of, tensor, answer)
            if word(answer, 0) != dtype:
                return
            put_word(answer, 0, 0)
            call_for_answer(is_contiguous, tensor, answer)
            if word(answer, 0) == 0:
                return
            call_for_answer(dim_of, tensor, answer)
            if word(answer, 0) != word(dims, i):
                return
            call_for_answer(sizes_of, tensor, answer)
            own = word(answer, 0)
            for dim in range(word(dims, i)):
                if word(own, dim) != word(sizes, at + dim):
                    return
        at += word(dims, i)
        call_for_answer(data_of, gradient, answer)
        put_word(table, slots * i + 1, word(answer, 0))
    put_word(block, {_AT["found"]}, 1)
    if mode == {_RUN}:
        launch = word(block, {_AT["parallel"]})
        (work, argument) = (word(block, {_AT["kernel"]}), word(block, {_AT["kernel_block"]}))
        threads = word(block, {_AT["threads"]})
        if launch != 0 and threads > 1:
            call_with_threads(launch, work, argument, threads)
        else:
            call_with_block(work, argument)
'''


class Scan:
    """Looks whether contiguous parameters are as they were, and writes their gradients' addresses into a table.

    `known` are the parameters' addresses, `table` has a row for each and the gradient's address in its second column.
    Nothing holds the gradients that `find` finds, so `run` looks again and launches at once, within one call that does
    not let go of the interpreter's lock.
    """

    def __init__(self, parameters: Sequence[Tensor], known: Words, table: Words) -> None:
        shapes = [parameter.shape for parameter in parameters]
        arrays = {
            "objects": np.array(list(map(id, parameters)), dtype=np.int64),
            "impls": np.array(list(map(_impl, parameters)), dtype=np.int64),
            "known": known,
            "dims": np.array([len(shape) for shape in shapes], dtype=np.int64),
            "sizes": np.array([size for shape in shapes for size in shape] or [0], dtype=np.int64),
            "table": table,
        }
        self._arrays = arrays
        self._words = np.zeros(len(_ENTRIES), dtype=np.int64)
        functions = {f"function_{place}": address for place, address in enumerate(_functions())}
        addresses = {name: array.ctypes.data for name, array in arrays.items()}
        numbers = {"count": len(parameters), "slots": table.shape[1], "undefined": _undefined(), "behind": _behind()}
        for name, value in (functions | addresses | numbers | {"parallel": parallel_address()}).items():
            self._words[_AT[name]] = value
        self._at = self._words.ctypes.data
        self._call = _caller(compile_kernel(TEXT))
        self._words[_AT["dtype"]] = self._dtype_of_first()

    def find(self) -> bool:
        """Find the gradients; False if anything is not as it was, or a gradient cannot be taken as it is."""
        return self._look(_FIND)

    def run(self, kernel: int, block: int, threads: int) -> bool:
        """Find the gradients and launch a kernel on its block; False, and nothing is launched, as with `find`."""
        words = self._words
        words[_AT["kernel"]], words[_AT["kernel_block"]], words[_AT["threads"]] = kernel, block, threads
        return self._look(_RUN)

    def bump_versions(self) -> None:
        """Tell autograd that the parameters have changed."""
        self._words[_AT["mode"]] = _BUMP
        self._call(self._at)

    def _look(self, mode: int) -> bool:
        self._words[_AT["mode"]] = mode
        self._call(self._at)
        return bool(self._words[_AT["found"]])

    def _dtype_of_first(self) -> int:
        ask = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64)(_functions()[4])
        ask(self._arrays["impls"].ctypes.data, self._at + 8 * _AT["answer"])
        return int(self._words[_AT["answer"]])


@functools.cache
def can_scan() -> bool:
    """Whether this torch answers as we expect: tried once, on tensors of every kind that matters."""
    try:
        if not all(_functions()):
            return False
        return _passes_trial()
    except (OSError, AttributeError):
        return False


def _passes_trial() -> bool:
    ordinary = torch.nn.Parameter(torch.ones(3))
    ordinary.grad = torch.full((3,), 2.0)
    found = _try(ordinary)
    version = ordinary._version  # noqa: SLF001  # what is tried here
    if not found or found[0] != ordinary.grad.data_ptr():
        return False
    found[1].bump_versions()
    if ordinary._version != version + 1:  # noqa: SLF001
        return False
    swapped, other, none, transposed, negative = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(5))
    swapped.grad = torch.ones(2, 2)
    found = _try(swapped)
    torch.utils.swap_tensors(swapped, other)
    if not found or found[1].find():
        return False
    transposed.grad = torch.arange(4.0).reshape(2, 2).t()
    negative.grad = torch._neg_view(torch.ones(2, 2))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
    return not any(_try(parameter) for parameter in (none, transposed, negative))


def _try(parameter: Tensor) -> tuple[int, Scan] | None:
    table = np.zeros((1, 2), dtype=np.int64)
    scan = Scan([parameter], np.array([parameter.data_ptr()], dtype=np.int64), table)
    return (int(table[0, 1]), scan) if scan.find() else None


@functools.cache
def _functions() -> tuple[int, ...]:
    library = torch_library()
    return tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in FUNCTIONS)


def _impl(tensor: Tensor) -> int:
    """The address of what torch keeps behind a tensor's Python object: `torch.utils.swap_tensors` may change it."""
    return tensor._cdata  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


@functools.cache
def _behind() -> int:
    """In which word of a tensor's Python object that address stands. Raises `AttributeError` if in none."""
    tensor = torch.ones(1)
    for place in range(2, tensor.__sizeof__() // 8):
        if ctypes.c_int64.from_address(id(tensor) + 8 * place).value == _impl(tensor):
            return place
    message = "a tensor's object does not hold the address that it gives"
    raise AttributeError(message)


@functools.cache
def _undefined() -> int:
    """What stands where a tensor has no gradient."""
    parameter = torch.nn.Parameter(torch.ones(1))
    gradient_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(_functions()[0])
    return ctypes.c_int64.from_address(gradient_of(_impl(parameter)) or 0).value


@functools.cache
def _caller(kernel: Kernel) -> ctypes._FuncPointer:  # pyright: ignore[reportPrivateUsage]  # as ctypes calls it
    """The kernel as a function that keeps the interpreter's lock."""
    return ctypes.PYFUNCTYPE(None, ctypes.c_int64)(kernel.address)
