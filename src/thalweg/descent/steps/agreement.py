"""How well a quadratic model has foretold a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from thalweg.descent.trial import Trial

_ROUNDINGS = 10


def agreement(here: Trial, there: Trial, predicted: float, accept: float) -> float:
    """By how much the function fell, relative to what was predicted; −∞ where it is not finite.

    The gradient is looked at, and computed, only where the step is to be taken: from `accept` on.

    Rounding of the two values is forgiven: Conn, Gould and Toint, Trust-Region Methods, section 17.4.2.
    """
    if not math.isfinite(there.f):
        return -math.inf
    noise = _ROUNDINGS * torch.finfo(here.x.dtype).eps * abs(here.f)
    ratio = (here.f - there.f + noise) / (predicted + noise)
    return -math.inf if ratio >= accept and not there.is_finite else ratio
