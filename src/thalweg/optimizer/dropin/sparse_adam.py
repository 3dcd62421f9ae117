"""SparseAdam with torch's arguments, numbers and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain, Step
from thalweg.formula import Range
from thalweg.optimizer.dropin.dialect import BETA, Rate, TorchDialect, stage
from thalweg.optimizer.optimizer import Optimizer, Parameters
from thalweg.rules import adam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.state_dtypes import Asked


def _sparse_adam(group: Mapping[str, Any]) -> Chain:
    beta1, beta2 = map(float, group["betas"])
    rule = stage(adam, beta1=beta1, beta2=beta2, eps=float(group["eps"]), epsilon="hat")
    return Chain((rule,), Step(float(group["lr"])))


_POSITIVE = Range(0, low_included=False)
_SPARSE_ADAM = TorchDialect(
    "SparseAdam",
    _sparse_adam,
    {"m": "exp_avg", "v": "exp_avg_sq"},
    {"lr": _POSITIVE, "betas": (BETA, BETA), "eps": _POSITIVE},
    rows_only=True,
)


class SparseAdam(Optimizer):
    """Drop-in for `torch.optim.SparseAdam`: its arguments, numbers and `state_dict`, in one launch.

    For embeddings with `sparse=True`: it steps those rows that were looked up, and their averages; the others stay, and
    do not forget. Raises `GradientError` for a dense gradient. For `nonfinite`, `backend` and `state_dtype`, see
    `Optimizer`.
    """

    def __init__(
        self,
        params: Parameters,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
        *,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        self._begin(params, _SPARSE_ADAM, settings, nonfinite=nonfinite, backend=backend, state_dtype=state_dtype)

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, as torch has them: step counts are integers."""
        made = super().state_dict()
        for state in made["state"].values():
            if "step" in state:
                state["step"] = int(state["step"])
        return made
