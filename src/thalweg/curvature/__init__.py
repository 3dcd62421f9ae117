"""Curvature as something that you can `A @ v`, and what its spectrum looks like."""

from __future__ import annotations

from thalweg.curvature.matrices import empirical_fisher, fisher, gauss_newton, hessian
from thalweg.curvature.operator import Operator
from thalweg.curvature.products import Products

__all__ = ["Operator", "Products", "empirical_fisher", "fisher", "gauss_newton", "hessian"]
