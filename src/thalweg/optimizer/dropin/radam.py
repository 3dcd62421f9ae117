"""RAdam with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.optimizer.dropin.dialect import BETA, NOT_NEGATIVE, Rate, TorchDialect, coupled, decoupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import radam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.state_dtypes import Asked
    from thalweg.optimizer.stepper import NonFinite


def _radam(group: Mapping[str, Any]) -> Chain:
    beta1, beta2 = map(float, group["betas"])
    rule = stage(radam, beta1=beta1, beta2=beta2, eps=float(group["eps"]))
    return decoupled(group, rule) if group.get("decoupled_weight_decay") else coupled(group, rule)


_RADAM = TorchDialect(
    "RAdam",
    _radam,
    {"m": "exp_avg", "v": "exp_avg_sq"},
    {"lr": NOT_NEGATIVE, "betas": (BETA, BETA), "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE},
)


class RAdam(Optimizer):
    """Drop-in for `torch.optim.RAdam`: its arguments, numbers and `state_dict`, in one launch.

    `foreach` and `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`.
    For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        settings |= {"decoupled_weight_decay": decoupled_weight_decay}
        settings |= {"foreach": foreach, "capturable": capturable, "differentiable": differentiable}
        self._begin(params, _RADAM, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
