"""What layers were given and gave in the latest forward passes, from hooks that a copy of the model loses."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.graph import get_gradient_edge

from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn
    from torch.autograd.graph import GradientEdge
    from torch.utils.hooks import RemovableHandle

    from thalweg.descent.kronecker.layers import Layer

_KEPT = 2
"""Uses of a layer that are remembered: one, and another to tell that there was one."""


class Use:
    """One use of a layer: what it was given, and where in the graph what it gave begins."""

    def __init__(self, layer: Layer, given: Tensor, gave: Tensor) -> None:
        self.layer = layer
        self.given = given.detach()
        self.shape = gave.shape
        self.edge: GradientEdge = get_gradient_edge(_lasting(gave))


class Capture:
    """Watches layers while `wanted()`; with `on_slope`, hands over every derivative that a backward pass finds.

    A layer that a backward pass comes to twice is an error, unless it `may_repeat`.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        wanted: Callable[[], bool],
        on_slope: Callable[[Use, Tensor], None] | None = None,
        *,
        may_repeat: bool = False,
    ) -> None:
        self._wanted = wanted
        self._on_slope = on_slope
        self._may_repeat = may_repeat
        self._uses: dict[str, list[Use]] = {}
        self._seen: dict[str, int] = {}
        self._handles: list[RemovableHandle] = [
            layer.module.register_forward_hook(_Hook(self, layer), with_kwargs=True) for layer in layers
        ]
        weakref.finalize(self, _remove, self._handles)

    def remove(self) -> None:
        """Take the hooks away."""
        _remove(self._handles)

    def take(self) -> list[Use]:
        """The uses since the last time, and forget them."""
        uses = [use for several in self._uses.values() for use in several]
        self._uses.clear()
        return uses

    def see(self, layer: Layer, given: Tensor, gave: Tensor) -> None:
        """Remember a use of the layer, if it is wanted and can be differentiated."""
        if not (torch.is_grad_enabled() and gave.requires_grad and layer.weight.requires_grad and self._wanted()):
            return
        use = Use(layer, given, gave)
        if self._on_slope is None:
            self._uses[layer.name] = [*self._uses.get(layer.name, []), use][-_KEPT:]
        else:
            _lasting(gave).register_hook(lambda slope: self._hand_over(use, slope))

    def _hand_over(self, use: Use, slope: Tensor) -> None:
        task = torch._C._current_graph_task_id()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # which backward pass this is
        if self._seen.get(use.layer.name) == task and not self._may_repeat:
            raise shared(use.layer)
        self._seen[use.layer.name] = task
        if self._on_slope is not None:
            self._on_slope(use, slope.detach().reshape(use.shape))


def shared(layer: Layer) -> CurvatureError:
    """What is said of a layer that a loss depends on by two uses."""
    return CurvatureError(
        f"layer `{layer.name}` is used several times in one forward pass, and its factors are for one use; leave it to "
        f"the chain alone, as skip=('{layer.name}.*',), or give it all inputs at once"
    )


class _Hook:
    """A forward hook. In a copy of the model, or one that is pickled, it does nothing."""

    def __init__(self, capture: Capture | None = None, layer: Layer | None = None) -> None:
        self._capture = weakref.ref(capture) if capture is not None else None
        self._layer = layer

    def __call__(self, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any], gave: Tensor) -> None:
        capture = self._capture() if self._capture is not None else None
        if capture is not None and self._layer is not None:
            capture.see(self._layer, given[0] if given else named["input"], gave)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Hook, ()


def _lasting(gave: Tensor) -> Tensor:
    """What keeps its place in the graph if the output is changed in place afterwards: what it is a view of."""
    return gave._base if gave._is_view() and gave._base is not None else gave  # noqa: SLF001


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()
