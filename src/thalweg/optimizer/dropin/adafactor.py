"""Adafactor with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.chain import Chain, Step
from thalweg.errors import HyperparameterError
from thalweg.formula import Range
from thalweg.optimizer.dropin.dialect import NOT_NEGATIVE, Rate, TorchDialect, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import adafactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.state_dtypes import Asked


def _adafactor(group: Mapping[str, Any]) -> Chain:
    eps1, eps2 = group["eps"]
    for place, value in enumerate((eps1, eps2)):
        if value is None and place == 0:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            expected = "None or a number" if place == 0 else "a number"
            raise HyperparameterError(
                f"Adafactor: `eps[{place}]` is {value!r}; it must be {expected} in {NOT_NEGATIVE}"
            )
    rule = stage(
        adafactor,
        beta2_decay=float(group["beta2_decay"]),
        eps1=_rounding(group) if eps1 is None else float(eps1),
        eps2=float(eps2),
        d=float(group["d"]),
        weight_decay=float(group["weight_decay"]),
    )
    return Chain((rule,), Step(float(group["lr"])))


def _rounding(group: Mapping[str, Any]) -> float:
    """That of the dtype of a group's first parameter: torch, too, takes it for the whole group."""
    entries = [entry[1] if isinstance(entry, tuple) else entry for entry in group.get("params", ())]
    return torch.finfo(entries[0].dtype if entries else torch.float32).eps


_ADAFACTOR = TorchDialect(
    "Adafactor",
    _adafactor,
    {"row": "row_var", "column": "col_var", "v": "variance"},
    {
        "lr": NOT_NEGATIVE,
        "beta2_decay": Range(float("-inf"), 0, low_included=False, high_included=True),
        "d": Range(1),
        "weight_decay": NOT_NEGATIVE,
    },
)


class Adafactor(Optimizer):
    """Drop-in for `torch.optim.Adafactor`: its arguments, numbers and `state_dict`.

    `eps[0]` of None is the rounding of the parameters' dtype, that of the first one where a group has several.
    `foreach` is taken and makes no difference. For `nonfinite`, `backend` and `state_dtype`, see `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        settings |= {"foreach": foreach, "maximize": maximize}
        self._begin(params, _ADAFACTOR, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)
