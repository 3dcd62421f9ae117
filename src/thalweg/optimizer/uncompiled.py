"""Has torch.compile leave a method alone: it steps through addresses, and there is nothing in it to compile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

Method = TypeVar("Method", bound="Callable[..., Any]")


def uncompiled(method: Method) -> Method:
    """The method, which a compiled function calls as it is: a graph ends before it, and the next begins behind it.

    As `torch.compiler.disable`, but it costs no time where nobody compiles: that imports the compiler (a second), and
    stands between caller and method.
    """
    try:
        from torch._C._dynamo import eval_frame  # noqa: PLC0415  # private to torch: it may go away

        skip = eval_frame._FrameAction.SKIP  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        strategy = eval_frame._FrameExecStrategy(skip, skip)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        eval_frame.set_code_exec_strategy(method.__code__, strategy)  # nor what it calls
    except (ImportError, AttributeError):
        return torch.compiler.disable(method)  # pyright: ignore[reportReturnType]
    method._torchdynamo_disable = True  # noqa: SLF001  # pyright: ignore[reportFunctionMemberAccess]  # nor inline it
    return method
