"""The operators: Hessian, Gauss–Newton, Fisher and empirical Fisher of a loss over a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast, overload

import torch
from torch import nn

from thalweg.curvature import kinds
from thalweg.curvature.data import Examples, batches_of
from thalweg.curvature.divisors import reduction_of
from thalweg.curvature.flat import Layout
from thalweg.curvature.likelihoods import family_of
from thalweg.curvature.operator import Operator
from thalweg.curvature.passes import Passes, checked_way
from thalweg.curvature.risk import Risk
from thalweg.errors import HyperparameterError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.distributions import Distribution

    from thalweg.curvature.divisors import Reduction
    from thalweg.curvature.likelihoods import Likelihood
    from thalweg.curvature.passes import Way

    Model = Callable[..., Any]
    Loss = Callable[[Any, Any], Tensor]


class Settings(TypedDict, total=False):
    """What all four operators over a data set can be told, by keyword."""

    parameters: Iterable[Tensor]
    """Over which parameters; the model's that are trainable, unless you say."""
    batch_size: int
    """Into how many rows (inputs, targets) are cut up."""
    reduction: Reduction
    """What a loss of your own does: "mean" over its batch, or "sum"."""
    count: Callable[[Any, Any], float]
    """From outputs and targets: what the loss's mean divides by, where that is not the rows."""
    products: Way
    """"exact", by two derivatives; "differences", by finite ones; "auto", the latter where the former cannot be had."""


@overload
def hessian(model: Model, loss: Loss, data: object, /, **settings: Unpack[Settings]) -> Operator: ...
@overload
def hessian(
    f: Callable[[Tensor], Any], x: Tensor | NDArray[Any] | list[float], /, *, products: Way = ...
) -> Operator: ...
def hessian(model: Any, loss: Any, data: Any = None, /, **settings: Any) -> Operator:
    """The Hessian of a loss over a data set; or of a function or a surface at a point, as `hessian(f, x)`.

    `model(inputs)` gives the outputs and `loss(outputs, targets)` one number. The data is (inputs, targets), cut up by
    `batch_size`; or a list or a loader of such batches. Several inputs come as (a, b, targets), or by name as
    ({"a": a, "b": b}, targets). The matrix is that of the loss's mean over all of the data, or of its sum for a loss
    with `reduction="sum"`, however the batches are cut; the graph of one batch is held at a time.

    It is that of the parameters as they are now: when they have moved, make a new one. A model in training mode is
    taken so: what draws random numbers is refused, and running statistics are left as they are.

    Raises:
        CurvatureError: a loss that is not one finite number, or not the same twice.
        DataError: data that is no batches, or runs out after one pass.
        ParameterError: nothing to be trained, or in several dtypes or on several devices.
        HyperparameterError: a setting that does not fit.

    >>> A = hessian(lambda x: (x**4).sum(), torch.tensor([1.0, 2.0]))
    >>> A @ torch.tensor([1.0, 1.0])
    tensor([12., 48.])
    """
    if data is None:
        return _at_a_point(model, loss, **settings)
    return _operator("Hessian", model, loss, data, kinds.hessian, cast("Settings", settings))


def gauss_newton(model: Model, loss: Loss, data: object, /, **settings: Unpack[Settings]) -> Operator:
    """The generalised Gauss–Newton matrix, Σ Jᵀ (∂²loss/∂outputs²) J: the Hessian without the model's own curvature.

    Positive semi-definite where the loss is convex in the outputs. Arguments and errors are those of `hessian`.

    Schraudolph 2002, doi:10.1162/08997660260028683.
    """
    return _operator("Gauss–Newton matrix", model, loss, data, kinds.gauss_newton, settings)


def fisher(
    model: Model,
    loss: Loss,
    data: object,
    /,
    *,
    samples: int | None = None,
    likelihood: Likelihood | Callable[..., Distribution] | None = None,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> Operator:
    """The Fisher information of what the model predicts, E[∇log p ∇log pᵀ] with the targets drawn from the prediction.

    Exact for cross-entropy ("categorical"), squared error ("gaussian") and binary cross-entropy from logits
    ("bernoulli"), and then equal to the Gauss–Newton matrix; the targets matter only for which labels are ignored. With
    `samples`, so many targets are drawn for each example: always the same for one `seed`, as long as the batches come
    in the same order. `likelihood` names what a loss of your own stands for, or makes a `torch.distributions`
    distribution of the outputs, which is then drawn from. It is scaled as the loss is: by its mean or its sum. Squared
    errors are those of a Gaussian with variance ½.

    Other arguments and errors are those of `hessian`. `CurvatureError` if the loss does not say its likelihood.
    Martens 2020, arXiv:1412.1193.
    """
    family = family_of(loss, likelihood)
    if samples is None:
        return _operator("Fisher matrix", model, loss, data, kinds.fisher(family, loss), settings)
    for name, value, least in (("samples", samples, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise HyperparameterError(f"`{name}` is {value!r}; it must be a whole number from {least}")
    kind = kinds.sampled_fisher(family, loss, samples, seed)
    return _operator("sampled Fisher matrix", model, loss, data, kind, settings, in_order=True)


def empirical_fisher(model: Model, loss: Loss, data: object, /, **settings: Unpack[Settings]) -> Operator:
    """The examples' own gradients squared, Σ ∇ℓ ∇ℓᵀ, with the targets that the data has; scaled as the loss is.

    Not the Fisher matrix, and far from it where the model is wrong: Kunstner, Balles and Hennig 2019, arXiv:1905.12558.
    The outputs' rows must be the examples, each of which depends on its own inputs only. Arguments and errors are those
    of `hessian`.
    """
    return _operator("empirical Fisher matrix", model, loss, data, kinds.empirical_fisher, settings)


def _operator(
    name: str, model: Model, loss: Loss, data: object, kind: kinds.Kind, settings: Settings, *, in_order: bool = False
) -> Operator:
    parameters = settings.get("parameters")
    if parameters is None:
        if not isinstance(model, nn.Module):
            raise ParameterError("the model is no `nn.Module`; say over which tensors, as `parameters=[…]`")
        parameters = model.parameters()
    risk = Risk(
        model,
        loss,
        batches_of(data, settings.get("batch_size")),
        Layout(parameters),
        reduction_of(loss, settings.get("reduction")),
        settings.get("count"),
    )
    return _multiplied(name, Passes(risk, kind, checked_way(settings.get("products", "auto")), in_order=in_order))


def _at_a_point(f: Callable[[Tensor], Any], x: object, *, products: Way = "auto") -> Operator:
    point = torch.as_tensor(x).detach().clone()
    point = (point if hasattr(x, "dtype") and point.is_floating_point() else point.double()).requires_grad_()
    risk = Risk(lambda: point, lambda at, _: f(at), [Examples((), {}, None)], Layout([point]), "sum")
    return _multiplied("Hessian", Passes(risk, kinds.hessian, checked_way(products)))


def _multiplied(name: str, passes: Passes) -> Operator:
    layout = passes.risk.layout
    return Operator(name, layout.size, layout.dtype, layout.device, passes.multiply)
