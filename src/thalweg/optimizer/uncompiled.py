"""Has torch.compile leave a method alone: it steps through addresses, and there is nothing in it to compile."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def uncompiled(method: Callable[P, R]) -> Callable[P, R]:
    """The method, which a compiled function calls as it is: a graph ends before it, and the next begins behind it.

    As `torch.compiler.disable`, which imports the compiler (a second); here that is left to who compiles.
    """
    disabled: Callable[P, R] | None = None

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal disabled
        if "torch._dynamo" not in sys.modules:
            return method(*args, **kwargs)
        if disabled is None:
            disabled = cast("Callable[P, R]", torch.compiler.disable(method))
        return disabled(*args, **kwargs)

    run._torchdynamo_disable = True  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]  # as torch's own mark
    return run
