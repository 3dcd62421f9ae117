"""The operations of the language as torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from thalweg.formula.scalar import Operation

OPERATIONS: Mapping[Operation, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "power": torch.pow,
    "negative": torch.neg,
    "absolute": torch.abs,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "sign": torch.sign,
    "floor": torch.floor,
    "stored": torch.clone,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "less": torch.lt,
    "less_equal": torch.le,
    "equal": torch.eq,
    "both": torch.logical_and,
    "either": torch.logical_or,
    "where": torch.where,
}
