"""Which chains can step complex parameters: those that need not know which two real numbers belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ParameterError
from thalweg.optimizer.formulas import formula_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.chain import Chain, Kind


def check_complex(
    group: Mapping[str, Any], chain: Chain, kinds: Sequence[Kind], *, rows_only: bool, capturable: bool
) -> None:
    """Raise `ParameterError` for a complex parameter that the chain has no step for."""
    entries = [entry[1] if isinstance(entry, tuple) else entry for entry in group["params"]]
    for tensor, kind in zip(entries, kinds, strict=True):
        if not isinstance(tensor, torch.Tensor) or not tensor.is_complex():
            continue
        whole = chain.whole_for(kind)
        why = ""
        if whole is not None:
            why = f"{whole.rule.name} is for real matrices"
        elif formula_of(chain, kind, maximize=False).plan.is_by_row:
            why = "it keeps values of rows and columns, which are real ones"
        elif formula_of(chain, kind, maximize=False).estimate is not None:
            why = "it steps by the curvature, which is estimated for real ones"
        elif rows_only:
            why = "it takes sparse gradients, and those of real numbers only"
        elif capturable:
            why = "its steps are counted here, not on the device; leave `capturable` out"
        if why:
            message = (
                f"{chain!r} cannot step a complex parameter of shape {tuple(tensor.shape)}: {why}. Give it to a rule "
                "over elements, such as adam, or make the parameter of real numbers and use torch.view_as_complex"
            )
            raise ParameterError(message)
