"""Adam, AdamW and Adamax with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.optimizer.dropin.dialect import BETA, NOT_NEGATIVE, Rate, TorchDialect, coupled, decoupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import adam, adamax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.state_dtypes import Asked
    from thalweg.optimizer.stepper import NonFinite


def _adam(group: Mapping[str, Any]) -> Chain:
    beta1, beta2 = map(float, group["betas"])
    rule = stage(adam, beta1=beta1, beta2=beta2, eps=float(group["eps"]), amsgrad=bool(group["amsgrad"]))
    return decoupled(group, rule) if group.get("decoupled_weight_decay") else coupled(group, rule)


def _adamax(group: Mapping[str, Any]) -> Chain:
    beta1, beta2 = map(float, group["betas"])
    return coupled(group, stage(adamax, beta1=beta1, beta2=beta2, eps=float(group["eps"])))


_ADAM_STATES = {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}
_RANGES = {"lr": NOT_NEGATIVE, "betas": (BETA, BETA), "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE}
_OPTIONAL = frozenset({"max_exp_avg_sq"})
_ADAM = TorchDialect("Adam", _adam, _ADAM_STATES, _RANGES, optional_states=_OPTIONAL)
_ADAMW = TorchDialect(
    "AdamW", _adam, _ADAM_STATES, _RANGES, optional_states=_OPTIONAL, fixed={"decoupled_weight_decay": True}
)
_ADAMAX = TorchDialect("Adamax", _adamax, {"m": "exp_avg", "u": "exp_inf"}, _RANGES)


class Adam(Optimizer):
    """Drop-in for `torch.optim.Adam`: its arguments, numbers and `state_dict`, in one launch.

    `foreach`, `fused` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of
    `Optimizer`. For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        betas: tuple[Rate, Rate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        plumbing = {
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
        }
        settings |= {"maximize": maximize, **plumbing, "decoupled_weight_decay": decoupled_weight_decay}
        self._begin(params, _ADAM, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)


class AdamW(Optimizer):
    """Drop-in for `torch.optim.AdamW`: its arguments, numbers and `state_dict`, in one launch.

    `foreach`, `fused` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of
    `Optimizer`. For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        betas: tuple[Rate, Rate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        plumbing = {
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
        }
        settings |= {"maximize": maximize, **plumbing, "decoupled_weight_decay": True}
        self._begin(params, _ADAMW, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)


class Adamax(Optimizer):
    """Drop-in for `torch.optim.Adamax`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`.
    For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        settings |= {"foreach": foreach, "capturable": capturable, "differentiable": differentiable}
        self._begin(params, _ADAMAX, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
