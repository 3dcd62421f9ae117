"""Natural gradient by Kronecker factors: `KFAC` for Linear and Conv2d layers."""

from __future__ import annotations

from thalweg.descent.kronecker.kfac import KFAC

__all__ = ["KFAC"]
