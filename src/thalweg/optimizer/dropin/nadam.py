"""NAdam with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.optimizer.dropin.dialect import BETA, NOT_NEGATIVE, Rate, TorchDialect, coupled, decoupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import nadam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.state_dtypes import Asked


def _nadam(group: Mapping[str, Any]) -> Chain:
    beta1, beta2 = map(float, group["betas"])
    decay = float(group["momentum_decay"])
    rule = stage(nadam, beta1=beta1, beta2=beta2, eps=float(group["eps"]), momentum_decay=decay)
    return decoupled(group, rule) if group.get("decoupled_weight_decay") else coupled(group, rule)


_NADAM = TorchDialect(
    "NAdam",
    _nadam,
    {"m": "exp_avg", "v": "exp_avg_sq"},
    {
        "lr": NOT_NEGATIVE,
        "betas": (BETA, BETA),
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "momentum_decay": NOT_NEGATIVE,
    },
)


class NAdam(Optimizer):
    """Drop-in for `torch.optim.NAdam`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`.
    torch keeps the product of the momenta in single precision whatever the parameters are; here float64 parameters
    have it in float64. For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        settings |= {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        settings |= {"maximize": maximize}
        settings |= {"foreach": foreach, "capturable": capturable, "differentiable": differentiable}
        self._begin(params, _NADAM, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
