"""Curvature as linear operators."""

from __future__ import annotations

from thalweg.curvature.products import Products

__all__ = ["Products"]
