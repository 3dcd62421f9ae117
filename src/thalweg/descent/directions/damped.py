"""What directions have in common that solve (B + λI) d = −g: candidates, and a damping λ that a step size may set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.descent.directions.direction import Guide

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial

_EVALUATIONS = 0.25
"""The share of what is left of a budget that conjugate gradients leave to the evaluations that follow."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A step, and by how much the function should change by it: gᵀd + ½dᵀBd, without the damping."""

    step: Tensor
    predicted: float


def affordable(here: Trial, most: int) -> int:
    """How many products conjugate gradients may take of what a budget leaves: so many, and one at least."""
    allowed = here.left * (1 - _EVALUATIONS)
    return most if math.isinf(allowed) else max(1, min(most, int(allowed)))


class DampedGuide(Guide):
    """A guide whose direction is scaled by curvature, damped by λ."""

    is_scaled = True

    def __init__(self, damping: float) -> None:
        self.damping = damping
        self.candidates: list[Candidate] = []
        """What the last direction came from: it is the last; the others are less far on the way to it."""
