"""ASGD with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.optimizer.dropin.dialect import ANY, NOT_NEGATIVE, Rate, TorchDialect, coupled, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import asgd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.state_dtypes import Asked


def _asgd(group: Mapping[str, Any]) -> Chain:
    lambd, power, t0 = (float(group[name]) for name in ("lambd", "alpha", "t0"))
    return coupled(group, stage(asgd, lambd=lambd, power=power, t0=t0, form="torch"))


_ASGD = TorchDialect(
    "ASGD",
    _asgd,
    {"eta_next": "eta", "mu_next": "mu"},
    {"lr": NOT_NEGATIVE, "lambd": ANY, "alpha": ANY, "t0": ANY, "weight_decay": NOT_NEGATIVE},
)


class ASGD(Optimizer):
    """Drop-in for `torch.optim.ASGD`: its arguments, numbers and `state_dict`, in one launch.

    The average of the parameter is the state `ax`; torch's and ours do not put it into the parameter. `foreach` and
    `capturable` are taken and make no difference, but that on a GPU `capturable` is that of `Optimizer`. torch keeps
    `eta` and `mu` in single precision whatever the parameters are; here float64 parameters have them in float64. For
    `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        *,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        settings |= {"foreach": foreach, "maximize": maximize}
        settings |= {"differentiable": differentiable, "capturable": capturable}
        self._begin(params, _ASGD, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
