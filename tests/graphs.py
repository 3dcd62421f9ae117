"""What a CUDA graph does, on the CPU: notes what is launched and computed, and does it at each replay, not before."""

# ruff: noqa: ANN401  # operations take and give anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from triton.runtime.interpreter import InterpretedFunction

from thalweg.kernels.triton import binding, constants, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from torch import Tensor


class Graph(TorchDispatchMode):
    """A graph to be captured in a `with` block; nothing in the block may ask for a value."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.replayed: list[Callable[[], object]] = []
        self._patch = monkeypatch

    def __enter__(self) -> Self:
        for module in (binding, constants, exchange):
            self._patch.setattr(module, "is_capturing", lambda _: True)
        self._patch.setattr(exchange, "_kept", [])
        self._patch.setattr(InterpretedFunction, "__getitem__", self._launched())
        for name in ("item", "tolist", "cpu", "__bool__", "__float__"):
            self._patch.setattr(torch.Tensor, name, _waits(name))
        return super().__enter__()

    def __exit__(self, *given: object) -> None:
        self._patch.undo()
        super().__exit__(*given)  # pyright: ignore[reportArgumentType]

    def replay(self) -> None:
        """Do all of it."""
        for one in self.replayed:
            one()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note an operation. What changes a tensor changes it at the replays only; what makes one makes it now, too."""
        kwargs = kwargs or {}
        schema = function._schema
        for at, one in enumerate(schema.arguments):
            if one.alias_info is not None and one.alias_info.is_write:
                self.replayed.append(lambda: function(*args, **kwargs))
                return args[at] if at < len(args) else kwargs[one.name]
        made = function(*args, **kwargs)
        is_view = any(one.alias_info is not None for one in schema.returns)
        if not is_view:
            self.replayed.append(lambda: _copy(function(*args, **kwargs), made))
        return made

    def _launched(self) -> Callable[..., Any]:
        launch = InterpretedFunction.__getitem__

        def noted(kernel: InterpretedFunction, grid: Any) -> Callable[..., None]:
            return lambda *arguments: self.replayed.append(lambda: launch(kernel, grid)(*arguments))

        return noted


def _copy(values: Any, to: Any) -> None:
    for value, place in zip(tree_leaves(values), tree_leaves(to), strict=True):
        if isinstance(value, torch.Tensor):
            place.copy_(value)


def _waits(name: str) -> Callable[..., Any]:
    def refused(tensor: Tensor, *_: Any, **__: Any) -> Any:
        message = f"`Tensor.{name}` of a tensor of shape {tuple(tensor.shape)} would wait for the device"
        raise AssertionError(message)

    return refused
