"""What directions have in common that solve (B + λI) d = −g: candidates, and a damping λ that a step size may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.descent.directions.direction import Guide

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Candidate:
    """A step, and by how much the function should change by it: gᵀd + ½dᵀBd, without the damping."""

    step: Tensor
    predicted: float


class DampedGuide(Guide):
    """A guide whose direction is scaled by curvature, damped by λ."""

    is_scaled = True

    def __init__(self, damping: float) -> None:
        self.damping = damping
        self.candidates: list[Candidate] = []
        """What the last direction came from: it is the last; the others are less far on the way to it."""
