"""K-FAC: natural gradient with each layer's Fisher block taken for a Kronecker product of two small matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import nn

from thalweg.chain import chain as chain_of
from thalweg.chain import step as step_stage
from thalweg.descent.kronecker.capture import Capture
from thalweg.descent.kronecker.closures import Evaluated, evaluate, go_backward
from thalweg.descent.kronecker.estimates import Estimates, is_finite
from thalweg.descent.kronecker.layered import LayerOptimizer
from thalweg.descent.kronecker.lengths import adapted, clipping, fitted, preconditioned, refuse_others
from thalweg.descent.kronecker.settings import Settings
from thalweg.errors import ChainError, CurvatureError, NonFiniteGradientError
from thalweg.formula import Hyperparameter, Range
from thalweg.optimizer.closures.settings import MethodDialect
from thalweg.optimizer.uncompiled import uncompiled
from thalweg.rules import gradient_descent, heavy_ball

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.chain import Chain, Route
    from thalweg.descent.kronecker.factors import Sharing
    from thalweg.descent.kronecker.layers import Layer
    from thalweg.descent.kronecker.lengths import Stacks
    from thalweg.descent.kronecker.settings import Fisher, Rescale, Tikhonov
    from thalweg.formula import Schedule
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.roles import Role

_DAMPING = Hyperparameter("damping", None, Range(0))


class KFAC(LayerOptimizer):
    """Steps by a chain that is given the natural gradient in place of the gradient, layer by layer.

    The Fisher block of a Linear or Conv2d with all its weights is taken for A ⊗ G, A the second moment of what the
    layer is given and G that of the derivatives by what it gives; both are running averages. What is no such layer, or
    is named by `skip` (roles, names, patterns), goes to the chain with its plain gradient. `chain` is heavy ball with
    a rate of 0.1 where none is given; `params` says which parameters of the model are stepped, and in what groups.

    `step(closure)` takes a closure that returns (loss, outputs), both with their graph: labels are drawn from what the
    model itself predicts, and what it predicts is read off the loss. In a loop of one's own, call
    `estimate_curvature(loss, outputs)` before `loss.backward()`. `fisher` is `sampled` (`samples` labels for each
    example), `gauss_newton` (exact: as many backward passes as an example has outputs) or `empirical` (the labels
    given: no pass more, and any closure or loop; the loss must be a mean over examples).

    `damping` is the λ of Tikhonov's λI: shared out over both factors (`tikhonov="factored"`) or as it is (`"exact"`, by
    eigenvalues). `every` so many steps factors are estimated, `inverse_every` so many they are inverted. `sharing` says
    of a Linear that is given sequences whether each place is an example of its own (`expand`) or all of them are one
    (`reduce`). The step's length is the chain's; `kl_clip` bounds the KL divergence that a step is foretold to make
    (None does not). With `rescale` in its place, a step goes to where the exact quadratic model of the minibatch is
    least, along the direction (`length`), or along it and the last step (`momentum`); and `adapt_every` so many steps
    the damping follows how well the model foretold the loss (Levenberg–Marquardt; the closure is evaluated once more).
    Then the chain is a step of 1.

    Martens and Grosse 2015, arXiv:1503.05671 (damping 6.3, rescaling 6.4, adapting 6.5, momentum 7); Grosse and Martens
    2016, arXiv:1602.01407 (convolutions); Eschenhagen et al. 2023, arXiv:2311.00636 (`sharing`); Wu et al. 2017,
    arXiv:1708.05144 (`kl_clip`).

    Raises `ParameterError` for a weight that layers share, `HyperparameterError` for a number out of range,
    `CurvatureError` for a factor that is singular or not finite, and as `Optimizer` does.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    >>> optimizer = tw.KFAC(model, tw.chain(tw.heavy_ball(), tw.step(0.1)), damping=1e-2)
    >>> x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
    >>> def closure():
    ...     outputs = model(x)
    ...     return torch.nn.functional.cross_entropy(outputs, y), outputs
    >>> loss = optimizer.step(closure)
    """

    method = "kfac"
    _fields: ClassVar[tuple[str, ...]] = (
        "_model",
        "_settings",
        "_skip",
        "_estimated",
        "_numbers",
        "evaluation",
        "nfev",
        "njev",
        "nhvp",
    )

    def __init__(  # noqa: PLR0913  # the method's options, beside what every optimizer takes
        self,
        model: nn.Module,
        chain: Chain | Route | None = None,
        *,
        params: Iterable[Any] | None = None,
        damping: float | Schedule = 1e-2,
        decay: float = 0.95,
        every: int = 1,
        inverse_every: int = 10,
        fisher: Fisher = "sampled",
        samples: int = 1,
        sharing: Sharing = "expand",
        tikhonov: Tikhonov = "factored",
        kl_clip: float | None = 1e-2,
        rescale: Rescale | None = None,
        adapt_every: int | None = None,
        skip: Sequence[str] = (),
        seed: int = 0,
        roles: Mapping[str, Role] | None = None,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
    ) -> None:
        self._take_model(model, skip)
        self._settings = Settings(
            decay=decay,
            every=every,
            inverse_every=inverse_every,
            fisher=fisher,
            samples=samples,
            sharing=sharing,
            tikhonov=tikhonov,
            kl_clip=None if rescale else kl_clip,
            rescale=rescale,
            adapt_every=adapt_every,
            seed=seed,
        )
        self._numbers: Mapping[Hyperparameter, float | Schedule] = {_DAMPING: damping}
        self._estimated = Estimates(self._settings)
        self.evaluation = self.nfev = self.njev = self.nhvp = 0
        if chain is None:
            usual = (gradient_descent(), 1.0) if rescale else (heavy_ball(form="torch"), 0.1)
            chain = chain_of(usual[0], step_stage(usual[1]))
        given = cast("Any", model if params is None else params)
        super().__init__(given, chain, roles=roles, nonfinite=nonfinite, backend=backend)

    def factors(self, layer: str) -> tuple[Tensor, Tensor]:
        """A and G of a layer as they are now, (blocks, n, n) and (blocks, m, m): do not change them in place.

        Raises `CurvatureError` if there are none yet.
        """
        kept = self._estimated.kept.get(layer)
        if kept is None:
            raise CurvatureError(
                f"there are no factors of `{layer}` yet; those with some: {list(self._estimated.kept)}"
            )
        return kept["A"], kept["G"]

    @uncompiled
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self,
        closure: Callable[[], Any] | None = None,
        *,
        loss: float | Tensor | None = None,
        scaler: GradScaler | None = None,
    ) -> Any:  # noqa: ANN401  # the loss that the closure returned
        """Move every parameter that has a gradient, and return the loss if a closure computes it.

        The closure returns (loss, outputs), and the optimizer goes backward. One in torch's manner, which goes
        backward itself and returns the loss, does for fisher='empirical', or where it calls `estimate_curvature`. A
        gradient `scaler` is used for the backward pass; call its `update` afterwards.

        Raises `CurvatureError` where factors are missing, `NonFiniteGradientError` with nothing moved (see
        `nonfinite`), and as `Optimizer.step` does.
        """
        found = Evaluated(loss)
        if closure is not None:
            self.nfev += 1
            found = evaluate(self, closure)
        scale = 1.0
        if found.needs_backward:
            if found.outputs is not None and (scaler is None or bool(torch.isfinite(found.outputs).all())):
                _ = self.estimate_curvature(cast("Tensor", found.value), found.outputs)
            scale = go_backward(self, found, scaler, keep=self._settings.rescale is not None)
            self.njev += 1
        if self._is_left_out(scaler):
            self._estimated.forget()
            return found.returned
        foretold = self._move(found, scale)
        if closure is not None and foretold is not None and self._is_to_adapt:
            self._adapt(closure, float(cast("Tensor", found.returned)), foretold)
        return found.returned

    def estimate_curvature(  # pyright: ignore[reportIncompatibleMethodOverride]  # of factors, not of a diagonal
        self, loss: Tensor, outputs: Tensor | None = None, *, now: bool = False
    ) -> bool:
        """Estimate the factors from a loss and the outputs that it is computed from; tells whether it has done so.

        Call it after each forward pass and before `loss.backward()`, with the loss as it is, neither scaled nor
        divided: it does nothing while no estimate is due. Several in one step are averaged.

        Raises `CurvatureError` where nothing can be drawn from the loss.
        """
        uses = self._capture.take()
        if self._settings.fisher == "empirical" or not (now or self._estimated.is_due):
            return False
        if outputs is None:
            raise CurvatureError(_NO_OUTPUTS.format(self._settings.fisher))
        if self._nonfinite == "skip" and not bool(torch.isfinite(outputs).all()):
            return False  # so are the gradients, and `step` counts it
        self.njev += self._estimated.observe(loss, outputs, uses)
        return True

    def _begin(self, params: Any, dialect: Dialect, defaults: dict[str, Any], **others: Any) -> None:  # noqa: ANN401  # as `Optimizer`
        super()._begin(params, MethodDialect(self.method, dialect, self._numbers), defaults, **others)
        for group in self.param_groups:
            if any(trace.curvature is not None for trace in group["chain"].traces()):
                raise ChainError(f"{group['chain']!r} goes by the curvature, and KFAC has used it; choose another rule")
        if self._settings.adapt_every is not None and callable(self._numbers[_DAMPING]):
            raise ChainError("kfac: `damping` follows a schedule, and `adapt_every` adapts it; leave one of them out")
        self._watch()

    def _check(self, stepped: Sequence[Tensor]) -> None:
        if self._settings.rescale is not None:
            names = {id(parameter): f"`{name}`" for name, parameter in self._model.named_parameters()}
            refuse_others(stepped, self._layers, names)

    def _captured(self) -> Capture:
        estimated, is_empirical = self._estimated, self._settings.fisher == "empirical"
        return Capture(self._layers, lambda: estimated.is_due, estimated.observe_slope if is_empirical else None)

    def _groups(self) -> dict[str, dict[str, Any]]:
        """The group that each layer's weight is in."""
        of = {id(parameter): group for group in self.param_groups for parameter in group["params"]}
        return {layer.name: of[id(layer.weight)] for layer in self._layers}

    def _is_left_out(self, scaler: GradScaler | None) -> bool:
        """Whether something is not finite, and the step is left out for it. Raises an error that names the layer."""
        why = self._estimated.refusal(self._layers)
        if why is not None:
            if self._nonfinite != "skip":
                self._estimated.forget()
                raise CurvatureError(why)
            self.skipped += 1
            return True
        if self._nonfinite == "propagate":
            return False
        for layer in self._layers:
            for parameter in (layer.weight, layer.bias):
                gradient = None if parameter is None else parameter.grad
                if gradient is not None and not is_finite(gradient):
                    if self._nonfinite == "skip" or (scaler is not None and scaler.is_enabled()):
                        self.skipped += 1
                        return True
                    raise NonFiniteGradientError(
                        f"the gradient of layer `{layer.name}` has a NaN or an infinity; nothing has moved (pass "
                        "nonfinite='skip' to leave out such steps, 'propagate' to do as torch does)"
                    )
        return False

    def _move(self, found: Evaluated, scale: float) -> float | None:
        """Have the chain step with the preconditioned gradients; gives what the loss is foretold to fall by."""
        estimated, groups = self._estimated, self._groups()
        dialect = cast("MethodDialect", self._dialect)
        damping = {name: dialect.number(group, "damping") for name, group in groups.items()}
        layers = [layer for layer in self._layers if layer.weight.grad is not None]
        try:
            estimated.update(self._layers, damping, scale=scale if self._settings.fisher == "empirical" else 1.0)
            deltas = preconditioned(layers, estimated, damping)
            deltas, foretold = self._of_length(layers, deltas, found, groups, max(damping.values()))
        except CurvatureError:
            estimated.forget()
            raise
        originals = {p: p.grad for layer in layers for p, _ in layer.parts(deltas[layer.name])}
        for layer in layers:
            for parameter, part in layer.parts(deltas[layer.name]):
                parameter.grad = part if originals[parameter] is not None else None
        try:
            self._step(loss=found.value)
        finally:
            for parameter, gradient in originals.items():
                parameter.grad = gradient
        estimated.steps += 1
        return foretold

    def _of_length(
        self,
        layers: Sequence[Layer],
        deltas: Stacks,
        found: Evaluated,
        groups: Mapping[str, Mapping[str, Any]],
        damping: float,
    ) -> tuple[Stacks, float | None]:
        """The directions as long as they are to be, and what the loss is foretold to fall by, where that is known."""
        kept = self._estimated.kept
        if self._settings.kl_clip is not None:
            rates = {layer.name: _rate(groups[layer.name]) for layer in layers}
            share = clipping(deltas, kept, rates, self._settings.kl_clip)
            return {name: share * delta for name, delta in deltas.items()}, None
        if self._settings.rescale is None or not layers:
            return deltas, None
        self.nhvp += 2
        last = {name: own["move"] for name, own in kept.items() if "move" in own}
        fit, foretold = fitted(layers, deltas, last, found, damping)
        if self._settings.rescale == "momentum":
            for name, delta in fit.items():
                kept[name]["move"] = -delta
        return fit, foretold

    @property
    def _is_to_adapt(self) -> bool:
        every = self._settings.adapt_every
        return every is not None and self._estimated.steps % every == 0

    def _adapt(self, closure: Callable[[], Any], before: float, foretold: float) -> None:
        """Change the damping by how well the model has foretold the loss, which is evaluated once more."""
        self.evaluation = 1
        self.nfev += 1
        try:
            with torch.no_grad():
                after = closure()
        finally:
            self.evaluation = 0
        ratio = (float(after[0]) - before) / foretold if foretold else 0.0
        for group in self.param_groups:
            group["damping"] = adapted(group["damping"], ratio, cast("int", self._settings.adapt_every))

    def _kept_beside(self) -> dict[str, Any]:
        return {"kfac": self._estimated.state()}

    def _reads_beside(self, kept: Mapping[str, Any]) -> Callable[[], None]:
        return self._estimated.reads(kept.get("kfac", {}), self._layers)


_NO_OUTPUTS = (
    "fisher='{}' draws labels from what the model predicts, and was given a loss alone; have the closure return "
    "(loss, outputs), call `estimate_curvature(loss, outputs)`, or pass fisher='empirical'"
)


def _rate(group: Mapping[str, Any]) -> float:
    """The learning rate that a group's chain is about to step by."""
    driven = group["chain"].schedules.get("lr")
    return float(driven(group["steps"]) if driven is not None else group.get("lr", 1.0))
