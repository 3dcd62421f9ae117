"""SGD and Rprop with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain
from thalweg.errors import HyperparameterError
from thalweg.formula import Range
from thalweg.optimizer.dropin.dialect import ANY, NOT_NEGATIVE, Rate, TorchDialect, coupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import gradient_descent, heavy_ball, nesterov, rprop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.state_dtypes import Asked
    from thalweg.optimizer.stepper import NonFinite


def _sgd(group: Mapping[str, Any]) -> Chain:
    momentum, dampening = float(group["momentum"]), float(group["dampening"])
    if group["nesterov"]:
        if momentum <= 0 or dampening != 0:
            message = "SGD: `nesterov=True` needs `momentum` above 0 and `dampening` of 0"
            raise HyperparameterError(message)
        return coupled(group, stage(nesterov, beta=momentum, form="torch"))
    if momentum == 0:
        return coupled(group, stage(gradient_descent))
    return coupled(group, stage(heavy_ball, beta=momentum, dampening=dampening, form="torch"))


def _rprop(group: Mapping[str, Any]) -> Chain:
    eta_minus, eta_plus = map(float, group["etas"])
    delta_min, delta_max = map(float, group["step_sizes"])
    etas = {"eta_minus": eta_minus, "eta_plus": eta_plus}
    sizes = {"delta0": float(group["lr"]), "delta_min": delta_min, "delta_max": delta_max}
    return Chain((stage(rprop, **sizes, **etas, form="irprop-"),))


_SGD = TorchDialect(
    "SGD",
    _sgd,
    {"v": "momentum_buffer"},
    {"lr": NOT_NEGATIVE, "momentum": NOT_NEGATIVE, "dampening": ANY, "weight_decay": NOT_NEGATIVE},
    keeps_step=False,
    optional_states=frozenset({"momentum_buffer"}),
)
_RPROP = TorchDialect(
    "Rprop",
    _rprop,
    {"g_prev": "prev", "delta": "step_size"},
    {
        "lr": NOT_NEGATIVE,
        "etas": (Range(0, 1, low_included=False), Range(1, low_included=False)),
        "step_sizes": (ANY, ANY),
    },
)


class SGD(Optimizer):
    """Drop-in for `torch.optim.SGD`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `fused` are taken and make no difference. For `nonfinite`, `backend` and `state_dtype`, see
    `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Rate = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        settings |= {"nesterov": nesterov, "maximize": maximize}
        settings |= {"foreach": foreach, "differentiable": differentiable, "fused": fused}
        self._begin(params, _SGD, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)


class Rprop(Optimizer):
    """Drop-in for `torch.optim.Rprop`: its arguments, numbers and `state_dict`, in one launch.

    `lr` is the first step size of every weight. `foreach` and `capturable` are taken and make no difference, but that
    on a GPU `capturable` is that of `Optimizer`. For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        settings |= {"foreach": foreach, "differentiable": differentiable, "capturable": capturable}
        self._begin(params, _RPROP, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
