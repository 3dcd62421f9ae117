"""PRONG and PRONG⁺: gradient steps in coordinates in which what each layer is given is white."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import nn

from thalweg.chain import chain as chain_of
from thalweg.chain import step as step_stage
from thalweg.descent.kronecker.capture import Capture
from thalweg.descent.kronecker.closures import evaluate, go_backward
from thalweg.descent.kronecker.estimates import is_finite
from thalweg.descent.kronecker.layered import LayerOptimizer
from thalweg.descent.whitening.moments import Observed
from thalweg.descent.whitening.settings import Settings
from thalweg.descent.whitening.whitened import Visit, Whitened, carry_velocity, read_whitened
from thalweg.errors import ChainError, CurvatureError
from thalweg.optimizer.uncompiled import uncompiled
from thalweg.rules import heavy_ball

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.chain import Chain, Route
    from thalweg.descent.kronecker.layers import Layer
    from thalweg.descent.whitening.coordinates import Coordinates, Turn
    from thalweg.descent.whitening.settings import Form, Momentum
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.roles import Role


class PRONG(LayerOptimizer):
    """Steps by a chain in coordinates in which what each layer is given has mean 0 and covariance I.

    A Linear or Conv2d computes W h + b, and is stepped as V U(h − c) + d: `every` so many steps c and U are taken from
    the mean and the covariance of h, over the batches of the last `window` steps. The model itself keeps W and b, and
    computes what it did: a reparametrisation changes no bit of it, and its `state_dict` needs no Thalweg. `epsilon` is
    added to the covariance's eigenvalues; `whitening` is `pca` as in the paper, or `zca`, which turns nothing. A layer
    without a bias is whitened about zero. A convolution's channels are whitened, each place alike, and the zeros around
    its input stay zeros of h. What is no such layer, or is named by `skip` (roles, names, patterns), is stepped as it
    is. Any closure or loop does.

    What the chain keeps of a layer, such as a velocity, is of coordinates that are gone after a reparametrisation:
    `momentum` says whether to begin anew (`reset`), to let a velocity go on as it moved W and b (`transform`, for heavy
    ball and Nesterov), or to leave the numbers as they are (`keep`). With `form="prong+"` each output is divided by its
    deviation and multiplied by a scale that is learned, as batch normalisation does, with the deviation over the same
    examples as the whitening. Without a chain it is heavy ball with a rate of 0.01.

    Desjardins et al. 2015, arXiv:1507.00210, Algorithm 1; with b = d − W c and d = b + W c, of which the paper prints
    the signs the other way round.

    Raises `ParameterError` for a weight that layers share, `HyperparameterError` for a number out of range,
    `ChainError` for a chain that averages or adds up over steps, `CurvatureError` for a covariance that is singular or
    not finite, and as `Optimizer` does.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> optimizer = tw.PRONG(model, tw.chain(tw.heavy_ball(), tw.step(0.05)), every=20)
    >>> def closure():
    ...     return (model(torch.randn(16, 4)) - 1).square().mean()
    >>> loss = optimizer.step(closure)
    """

    nhvp = 0
    _fields: ClassVar[tuple[str, ...]] = (
        "_model",
        "_skip",
        "_settings",
        "_whitened",
        "_scales",
        "_observed",
        "nfev",
        "njev",
    )

    def __init__(  # noqa: PLR0913  # the method's options, beside what every optimizer takes
        self,
        model: nn.Module,
        chain: Chain | Route | None = None,
        *,
        params: Iterable[Any] | None = None,
        form: Form = "prong",
        every: int = 100,
        window: int = 1,
        epsilon: float = 1e-2,
        whitening: Turn = "pca",
        momentum: Momentum = "reset",
        skip: Sequence[str] = (),
        roles: Mapping[str, Role] | None = None,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
    ) -> None:
        self._take_model(model, skip)
        self._settings = Settings(
            form=form, every=every, window=window, epsilon=epsilon, whitening=whitening, momentum=momentum
        )
        self._observed = Observed(every, window)
        self.nfev = self.njev = 0
        self._whitened: dict[str, Whitened] = {}
        self._scales: dict[str, nn.Parameter] = {}
        chain = chain_of(heavy_ball(), step_stage(0.01)) if chain is None else chain
        given = cast("Any", model if params is None else params)
        super().__init__(given, chain, roles=roles, nonfinite=nonfinite, backend=backend)
        if form == "prong+":
            self._add_scales()

    def coordinates(self, layer: str) -> Coordinates:
        """U, its inverse and c of a layer as they are now. Raises `CurvatureError` before the first step."""
        if layer not in self._whitened:
            raise CurvatureError(f"there are no coordinates of `{layer}` yet; those with some: {list(self._whitened)}")
        return self._whitened[layer].coordinates

    @uncompiled
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self,
        closure: Callable[[], Any] | None = None,
        *,
        loss: float | Tensor | None = None,
        scaler: GradScaler | None = None,
    ) -> Any:  # noqa: ANN401  # the loss that the closure returned
        """Move every parameter that has a gradient, and return the loss if a closure computes it.

        The closure returns the loss with its graph, or goes backward and returns it; `scaler` is for the former, as
        with `KFAC.step`: a step whose gradients overflow is left out and counted in `skipped`.

        Raises `CurvatureError` where what a layer was given cannot be whitened, with nothing moved, and as
        `Optimizer.step` does.
        """
        returned = loss
        if closure is not None:
            found = evaluate(self, closure)
            self.nfev, self.njev = self.nfev + 1, self.njev + 1
            returned = found.returned
            if found.needs_backward:
                _ = go_backward(self, found, scaler, keep=False)
        if scaler is not None and scaler.is_enabled() and not self._are_finite():
            self.skipped += 1
            self._observed.seen.clear()
            return returned
        if self._observed.is_due:
            self._whiten()
        with self._inside():
            self._step(loss=returned)
        self._observed.done += 1
        return None if closure is None else returned

    def evaluating(self) -> Any:  # noqa: ANN401  # never anything
        """There is no such point in these coordinates. Raises `ChainError`."""
        raise ChainError("PRONG steps in coordinates of its own, and keeps no average of the model; keep one outside")

    def _are_finite(self) -> bool:
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        return all(map(is_finite, gradients))

    @torch.no_grad()
    def _whiten(self) -> None:
        """Take new coordinates for each layer that moves. The model stays as it is."""
        seen, self._observed.seen = self._observed.seen, {}
        made: dict[str, Whitened] = {}
        for layer in self._layers:
            if layer.weight.grad is None:
                continue
            if layer.name not in seen:
                raise CurvatureError(
                    f"layer `{layer.name}` has a gradient, and no forward pass of the layer itself led to it; where a "
                    f"function uses its weight, leave it to the chain, as skip=('{layer.name}.*',)"
                )
            moments = seen[layer.name].shared()
            if not bool(torch.isfinite(moments.covariance).all()):
                if self._nonfinite == "skip":
                    continue
                raise CurvatureError(f"what layer `{layer.name}` was given has a NaN or an infinity; look at the data")
            made[layer.name] = Whitened.of(layer, moments, self._settings)
        for layer in self._layers:
            if layer.name in made:
                self._carry_over(layer, self._whitened.get(layer.name), made[layer.name])
        self._whitened |= made

    def _carry_over(self, layer: Layer, before: Whitened | None, after: Whitened) -> None:
        """What the chain keeps of a layer, in its new coordinates."""
        if layer.name in self._scales:
            self._scales[layer.name].copy_(after.deviations().reshape(-1))
        own = [p for p in (layer.weight, layer.bias, self._scales.get(layer.name)) if p is not None]
        if before is None or self._settings.momentum == "keep":
            return
        if self._settings.momentum == "reset":
            for parameter in own:
                self.state.pop(parameter, None)
            return
        of_bias = self.state.get(layer.bias, {}) if layer.bias is not None else {}
        for name, velocity in self.state.get(layer.weight, {}).items():
            if isinstance(velocity, torch.Tensor) and velocity.shape == layer.weight.shape:
                carry_velocity(layer, before.coordinates, after.coordinates, velocity, of_bias.get(name))

    @contextlib.contextmanager
    def _inside(self) -> Generator[None]:
        """Meanwhile, the layers' parameters and gradients are those of V, d and γ; then the model follows them."""
        moving = [layer for layer in self._layers if layer.name in self._whitened and layer.weight.grad is not None]
        with torch.no_grad():
            visits = [Visit(layer, self._whitened[layer.name], self._scales.get(layer.name)) for layer in moving]
        try:
            yield
        finally:
            with torch.no_grad():
                for visit in visits:
                    visit.leave()

    def _begin(self, params: Any, dialect: Dialect, defaults: dict[str, Any], **others: Any) -> None:  # noqa: ANN401  # as `Optimizer`
        super()._begin(params, dialect, defaults, **others)
        for group in self.param_groups:
            self._settings.check(group["chain"])
        self._watch()

    def _captured(self) -> Capture:
        observed = self._observed
        return Capture(self._layers, lambda: observed.is_watching, observed.observe, may_repeat=True)

    def _add_scales(self) -> None:
        """The scales of PRONG⁺, a group of their own that is stepped as the first layer's weight."""
        of = {id(parameter): group for group in self.param_groups for parameter in group["params"]}
        first = of[id(self._layers[0].weight)]
        for layer in self._layers:
            self._scales[layer.name] = nn.Parameter(
                torch.ones_like(layer.weight[(slice(None), *[0] * (layer.weight.ndim - 1))])
            )
        named = [(f"{name}.scale", scale) for name, scale in self._scales.items()]
        group = {"params": named if "param_names" in first else [scale for _, scale in named], "chain": first["chain"]}
        self.add_param_group(group | ({"roles": ["norm"] * len(named)} if "roles" in first else {}))

    def _kept_beside(self) -> dict[str, Any]:
        layers = {name: whitened.state(self._scales.get(name)) for name, whitened in self._whitened.items()}
        return {"prong": {**self._observed.state(), "layers": layers}}

    def _reads_beside(self, kept: Mapping[str, Any]) -> Callable[[], None]:
        state = kept.get("prong", {})
        found = read_whitened(state.get("layers", {}), self._layers, self._settings)

        def take() -> None:
            self._observed.load(state)
            self._whitened = found
            with torch.no_grad():
                for name, scale in self._scales.items():
                    if name in found:
                        scale.copy_(state["layers"][name]["scale"])

        return take
