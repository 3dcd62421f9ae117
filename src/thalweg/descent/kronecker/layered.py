"""What K-FAC and PRONG share: an optimizer that steps by a chain, and watches the layers of a model."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from thalweg.descent.kronecker.layers import find_layers
from thalweg.errors import ParameterError
from thalweg.optimizer.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.descent.kronecker.capture import Capture
    from thalweg.descent.kronecker.layers import Layer


class LayerOptimizer(Optimizer):
    """An optimizer with hooks on the Linear and Conv2d layers whose weights it steps.

    `_take_model` comes before `Optimizer.__init__`, and `_watch` once there are groups.
    """

    _fields: ClassVar[tuple[str, ...]]
    """What goes with a copy, beside what every optimizer has."""
    _capture: Capture
    _layers: Sequence[Layer]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that are watched; everything else is the chain's alone."""
        return tuple(layer.name for layer in self._layers)

    def remove_hooks(self) -> None:
        """Take the hooks off the model: it is as it was, and this optimizer can learn nothing more from it."""
        self._capture.remove()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As `Optimizer.add_param_group`; layers that the group brings are watched, too."""
        super().add_param_group(param_group)
        if "_capture" in self.__dict__:
            self._watch()

    def _take_model(self, model: nn.Module, skip: Sequence[str]) -> None:
        """Remember whose layers are watched. Raises `ParameterError` for what is no module."""
        if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise ParameterError(
                f"{type(self).__name__} watches the layers of a module, and was given a {type(model).__name__}; pass "
                "the model itself, and the parameters to step as `params`"
            )
        self._model = model
        self._skip = (skip,) if isinstance(skip, str) else tuple(skip)

    def _watch(self) -> None:
        """Find the layers, and put hooks on them."""
        if "_capture" in self.__dict__:
            self._capture.remove()
        stepped = [parameter for group in self.param_groups for parameter in group["params"]]
        self._layers = find_layers(self._model, stepped, self._skip)
        self._check(stepped)
        if not self._layers:
            raise ParameterError(
                f"{type(self).__name__} found no Linear or Conv2d whose weight it steps; are they under `skip`, or of "
                "another kind?"
            )
        self._capture = self._captured()

    def _check(self, stepped: Sequence[Tensor]) -> None:
        """Raise an error for parameters that the method cannot step."""

    @abstractmethod
    def _captured(self) -> Capture:
        """Hooks on the layers, for what the method wants to know of them."""

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {name: getattr(self, name) for name in self._fields}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_model" in state:
            self._watch()
