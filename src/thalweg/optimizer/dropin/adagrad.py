"""Adagrad, RMSprop and Adadelta with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.formula import Range
from thalweg.optimizer.dropin.dialect import NOT_NEGATIVE, Rate, TorchDialect, coupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import adadelta, adagrad, rmsprop, rmsprop_momentum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.state_dtypes import Asked
    from thalweg.optimizer.stepper import NonFinite


def _adagrad(group: Mapping[str, Any]) -> Chain:
    start, rate_decay = float(group["initial_accumulator_value"]), float(group["lr_decay"])
    return coupled(group, stage(adagrad, eps=float(group["eps"]), r0=start, rate_decay=rate_decay or None))


def _rmsprop(group: Mapping[str, Any]) -> Chain:
    settings = {"rho": float(group["alpha"]), "eps": float(group["eps"]), "centred": bool(group["centered"])}
    if group["momentum"] == 0:
        return coupled(group, stage(rmsprop, **settings))
    return coupled(group, stage(rmsprop_momentum, beta=float(group["momentum"]), **settings, form="torch"))


def _adadelta(group: Mapping[str, Any]) -> Chain:
    return coupled(group, stage(adadelta, rho=float(group["rho"]), eps=float(group["eps"])))


_COMMON = {"lr": NOT_NEGATIVE, "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE}
_ADAGRAD = TorchDialect(
    "Adagrad",
    _adagrad,
    {"r": "sum"},
    {**_COMMON, "lr_decay": NOT_NEGATIVE, "initial_accumulator_value": NOT_NEGATIVE},
)
_RMSPROP = TorchDialect(
    "RMSprop",
    _rmsprop,
    {"r": "square_avg", "mean": "grad_avg", "v": "momentum_buffer"},
    {**_COMMON, "alpha": NOT_NEGATIVE, "momentum": NOT_NEGATIVE},
    optional_states=frozenset({"grad_avg", "momentum_buffer"}),
)
_ADADELTA = TorchDialect(
    "Adadelta",
    _adadelta,
    {"r": "square_avg", "q": "acc_delta"},
    {**_COMMON, "rho": Range(0, 1, high_included=True)},
)


class Adagrad(Optimizer):
    """Drop-in for `torch.optim.Adagrad`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `fused` are taken and make no difference. For `nonfinite`, `backend` and `state_dtype`, see
    `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        settings |= {"initial_accumulator_value": initial_accumulator_value}
        settings |= {"foreach": foreach, "differentiable": differentiable, "fused": fused}
        self._begin(params, _ADAGRAD, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)


class RMSprop(Optimizer):
    """Drop-in for `torch.optim.RMSprop`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`.
    For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        settings |= {"weight_decay": weight_decay, "maximize": maximize}
        settings |= {"foreach": foreach, "differentiable": differentiable, "capturable": capturable}
        self._begin(params, _RMSPROP, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)


class Adadelta(Optimizer):
    """Drop-in for `torch.optim.Adadelta`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`.
    For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        settings |= {"foreach": foreach, "differentiable": differentiable, "capturable": capturable}
        self._begin(params, _ADADELTA, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
