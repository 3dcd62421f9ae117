"""Gradient steps where what each layer is given is white: `PRONG`, and PRONG⁺ as a form of it."""

from __future__ import annotations

from thalweg.descent.whitening.prong import PRONG

__all__ = ["PRONG"]
