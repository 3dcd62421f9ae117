"""A layer in its coordinates: how it gets there for a step and back again, and what is saved of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.descent.whitening import scales
from thalweg.descent.whitening.coordinates import Coordinates, as_places, as_weight, whitening
from thalweg.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from thalweg.descent.kronecker.layers import Layer
    from thalweg.descent.whitening.moments import Moments
    from thalweg.descent.whitening.settings import Settings

_COORDINATES = ("U", "U_inverse", "c", "whitened")


@dataclass(eq=False)
class Whitened:
    """A layer's coordinates and, for PRONG⁺, the V that is scaled."""

    coordinates: Coordinates
    V: Tensor | None = None

    @classmethod
    def of(cls, layer: Layer, moments: Moments, settings: Settings) -> Whitened:
        """As what the layer was given asks for. Raises `CurvatureError`."""
        made = whitening(layer.name, moments.mean, moments.covariance, settings.epsilon, settings.whitening)
        return cls(made, made.into(as_places(layer, layer.weight)) if settings.form == "prong+" else None)

    def deviations(self) -> Tensor:
        """Those of the outputs of PRONG⁺, which are the scales to begin with: the layer then computes what it did."""
        return scales.deviations(cast("Tensor", self.V), self.coordinates.whitened)

    def state(self, scale: Tensor | None) -> dict[str, Tensor]:
        """All of it by name."""
        kept = {name: getattr(self.coordinates, name) for name in _COORDINATES}
        return kept if self.V is None or scale is None else {**kept, "V": self.V, "scale": scale.detach()}


class Visit:
    """A layer's parameters and gradients in its coordinates, until it leaves them."""

    def __init__(self, layer: Layer, whitened: Whitened, scale: nn.Parameter | None) -> None:
        self._layer, self._whitened, self._scale = layer, whitened, scale
        weight, bias = layer.weight, layer.bias
        self._bias = bias if bias is not None and bias.grad is not None else None
        self._origins = [p.detach().clone() for p in (weight, self._bias) if p is not None]
        self._gradient = weight.grad
        coordinates = whitened.coordinates
        W, b = as_places(layer, self._origins[0]), self._bias  # not of the parameter, which is written to
        slope = coordinates.pulled(as_places(layer, _of(weight)), None if b is None else self._blocks(_of(b)))
        if whitened.V is not None and scale is not None:
            V, gamma = whitened.V, self._blocks(scale)
            slope, along = scales.pulled(slope, V, gamma, coordinates.whitened)
            scale.grad = along.reshape(-1).to(scale.dtype)
            self._before = scales.scaled(V, gamma, coordinates.whitened)
            weight.copy_(as_weight(layer, V))
        else:
            weight.copy_(as_weight(layer, coordinates.into(W)))
            self._before = as_places(layer, weight).clone()
        weight.grad = as_weight(layer, slope).to(weight.dtype).contiguous()
        if b is not None:
            b.copy_((self._blocks(b) + coordinates.shift(W)).reshape(-1))
            self._d = b.detach().clone()

    def leave(self) -> None:
        """Have the model follow: W by ΔV U, b by Δd − ΔW c. Where nothing has moved it is as before, to the bit."""
        layer, coordinates, weight, b = self._layer, self._whitened.coordinates, self._layer.weight, self._bias
        after = as_places(layer, weight)
        if self._whitened.V is not None and self._scale is not None:
            self._whitened.V = after.clone()
            after = scales.scaled(after, self._blocks(self._scale), coordinates.whitened)
            self._scale.grad = None
        moved = coordinates.back(after - self._before)
        if b is not None:
            by = self._blocks(b - self._d) - coordinates.shift(moved)
            b.copy_(self._origins[1] + by.reshape(-1).to(b.dtype))
        weight.copy_(self._origins[0] + as_weight(layer, moved).to(weight.dtype))
        weight.grad = self._gradient

    def _blocks(self, vector: Tensor) -> Tensor:
        return vector.detach().to(self._layer.dtype).reshape(self._layer.blocks, -1)


def carry_velocity(
    layer: Layer, before: Coordinates, after: Coordinates, of_weight: Tensor, of_bias: Tensor | None
) -> None:
    """Change velocities of V and d, in place, so that W and b go on: V̇′ = V̇ U U′⁻¹ and ḋ′ = ḋ + V̇ U(c′ − c)."""
    turning = before.back(as_places(layer, of_weight))
    of_weight.copy_(as_weight(layer, after.into(turning)))
    if of_bias is not None:
        of_bias.add_((after.shift(turning) - before.shift(turning)).reshape(-1).to(of_bias.dtype))


def read_whitened(saved: Mapping[str, Any], layers: Sequence[Layer], settings: Settings) -> dict[str, Whitened]:
    """What `Whitened.state` gave of each layer. Raises `CheckpointError` if it does not fit."""
    known = {layer.name: layer for layer in layers}
    found: dict[str, Whitened] = {}
    for name, entries in saved.items():
        if name not in known:
            raise CheckpointError(f"the state has coordinates of {name}, which this model's PRONG has not")
        layer = known[name]
        wanted = (layer.blocks, layer.weight.shape[1], layer.weight.shape[1])
        U: object = entries.get("U")
        if not isinstance(U, torch.Tensor) or tuple(U.shape) != wanted:
            raise CheckpointError(f"the coordinates of `{name}` must be of shape {wanted}")
        if ("V" in entries) != (settings.form == "prong+"):
            raise CheckpointError(f"the state is of another form than '{settings.form}': see `{name}`")
        kept = {key: value.to(layer.weight.device, copy=True) for key, value in entries.items() if key != "scale"}
        found[name] = Whitened(Coordinates(**{key: kept[key] for key in _COORDINATES}), kept.get("V"))
    return found


def _of(parameter: nn.Parameter) -> Tensor:
    """Its gradient, which is there."""
    return cast("Tensor", parameter.grad)
