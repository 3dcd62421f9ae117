"""Muon with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain, Step, Whole, decay
from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula import Range
from thalweg.matrix import MatrixStage, muon
from thalweg.optimizer.dropin.dialect import NOT_NEGATIVE, Rate, TorchDialect, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.optimizer.layout import Backend, NonFinite

_ADJUSTMENTS = ("original", "match_rms_adamw")


def _muon(group: Mapping[str, Any]) -> Chain:
    adjust, coefficients = group["adjust_lr_fn"], group["ns_coefficients"]
    if adjust is not None and adjust not in _ADJUSTMENTS:
        hint = did_you_mean(str(adjust), _ADJUSTMENTS)
        raise HyperparameterError(f"Muon: `adjust_lr_fn` is {adjust!r}; {hint}")
    if not isinstance(coefficients, tuple | list) or len(coefficients) != 3:
        raise HyperparameterError(f"Muon: `ns_coefficients` is {coefficients!r}; it must be three numbers")
    settings = {
        "momentum": float(group["momentum"]),
        "nesterov": bool(group["nesterov"]),
        **dict(zip("abc", map(float, coefficients), strict=True)),
        "steps": float(group["ns_steps"]),
        "eps": float(group["eps"]),
        "adjust": adjust or "original",
    }
    weight = float(group["weight_decay"])
    method = Whole(MatrixStage(muon, tuple(muon.check(settings).items())))
    return Chain((method, *([stage(decay, weight=weight)] if weight else [])), Step(float(group["lr"])))


_MUON = TorchDialect(
    "Muon",
    _muon,
    {"m": "momentum_buffer"},
    {
        "lr": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "momentum": Range(0, 1),
        "eps": Range(0, low_included=False),
        "ns_steps": Range(0, 100),
    },
    keeps_step=False,
)


class Muon(Optimizer):
    """Drop-in for `torch.optim.Muon`: its arguments, numbers and `state_dict`, all matrices of a shape at once.

    As torch's it is for the weights of hidden layers, and iterates in bfloat16: the numbers are torch's up to the
    rounding of that. It also takes convolutions, as filters × rest. For `nonfinite` and `backend`, see `Optimizer`; for
    all parameters of a model, `thalweg.muon` and `thalweg.route`.

    Raises `ParameterError` for a parameter of fewer than two dimensions.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        settings |= {"ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps}
        settings |= {"adjust_lr_fn": adjust_lr_fn}
        self._begin(params, _MUON, settings, nonfinite=nonfinite, backend=backend)
