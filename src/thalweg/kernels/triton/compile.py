"""Makes a kernel's text something to launch: compiled for a GPU, or interpreted where the tensors are the CPU's.

A text defines a function `kernel`, whose annotations say what its arguments point to. It is never written to a file:
Triton reads it as Python's debugger does, through `linecache`. Triton keeps compiled kernels for the next process.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from thalweg.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor
    from triton.backends.compiler import GPUTarget


class Launch(Protocol):
    """A kernel that can be launched."""

    def __call__(self, programs: int, *arguments: Tensor) -> None:
        """Run so many programs of it."""
        ...


@functools.cache
def kernel_for(text: str, device: torch.device, *, threads: int) -> Launch:
    """The kernel of a text, for tensors on a device, which must be the current one.

    Raises `BackendError` where Triton is not installed or cannot compile it.
    """
    try:
        from triton.runtime import driver  # noqa: PLC0415  # an extra, and slow to import
        from triton.runtime.interpreter import InterpretedFunction  # noqa: PLC0415
    except ImportError as error:
        message = "the triton backend needs Triton: `pip install \"thalweg[gpu]\"`, or use backend='reference'"
        raise BackendError(message) from error
    if device.type == "cpu":
        # What the kernel calls may stay Python's functions: each of Triton's would set up the interpreter anew.
        return functools.partial(_interpret, InterpretedFunction(load(text, lambda function: function)))
    target: Any = driver.active.get_current_target()
    compiled = build(text, target, threads=threads)

    def launch(programs: int, *arguments: Tensor) -> None:
        compiled[programs, 1, 1](*arguments)

    return launch


def build(text: str, target: GPUTarget, *, threads: int) -> Any:  # noqa: ANN401  # Triton's compiled kernel
    """The kernel of a text, compiled for a GPU, which need not be there. Raises `BackendError` where Triton cannot."""
    import triton  # noqa: PLC0415  # as above
    from triton.compiler import ASTSource  # noqa: PLC0415
    from triton.runtime.jit import JITFunction  # noqa: PLC0415

    function = load(text, JITFunction)
    source = ASTSource(function, dict(function.fn.__annotations__), {}, {})
    # A product and a sum that are fused are rounded once, and twice by the CPU's kernels.
    options = {"num_warps": max(1, threads // target.warp_size), "enable_fp_fusion": False}
    try:
        return triton.compile(source, target=target, options=options)
    except Exception as error:  # whatever the passes of a compiler may throw
        message = f"Triton could not compile this kernel for {target.arch}: {error}\n{text}"
        raise BackendError(message) from error


def load(text: str, jit: Callable[[Callable[..., None]], Any]) -> Any:  # noqa: ANN401  # what `jit` makes
    """The function `kernel` of a text, it and those that it calls wrapped by `jit`."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = f"<thalweg kernel {digest}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope: dict[str, Any] = {"__name__": f"thalweg_kernel_{digest}", "jit": jit}
    exec(compile(text, name, "exec", dont_inherit=True), scope)  # noqa: S102  # our own emitter wrote it
    return scope["kernel"]


def _interpret(kernel: Any, programs: int, *arguments: Tensor) -> None:  # noqa: ANN401  # Triton's interpreted function
    with np.errstate(all="ignore"):  # as on a GPU, where an overflow is an infinity and no news
        kernel[(programs,)](*arguments)
