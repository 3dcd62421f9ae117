"""Curvature as something that you can `A @ v`, and what its spectrum looks like.

- Operators over a model × a loss × data: `hessian`, `gauss_newton`, `fisher`, `empirical_fisher`; and `hessian(f, x)`.
- Their spectra: `top` and `bottom` eigenvalues, `spectral_density`, `trace`, `diagonal`, `condition_number`,
  `effective_condition_number` under a preconditioner. They take dense tensors, too.
- `Products`, of one loss whose graph is kept.
"""

from __future__ import annotations

from thalweg.curvature.density import Density, spectral_density
from thalweg.curvature.eigenvalues import (
    Eigenpairs,
    bottom,
    condition_number,
    effective_condition_number,
    preconditioned,
    top,
)
from thalweg.curvature.estimates import Estimate, diagonal, trace
from thalweg.curvature.matrices import empirical_fisher, fisher, gauss_newton, hessian
from thalweg.curvature.operator import Operator
from thalweg.curvature.products import Products

__all__ = [
    "Density",
    "Eigenpairs",
    "Estimate",
    "Operator",
    "Products",
    "bottom",
    "condition_number",
    "diagonal",
    "effective_condition_number",
    "empirical_fisher",
    "fisher",
    "gauss_newton",
    "hessian",
    "preconditioned",
    "spectral_density",
    "top",
    "trace",
]
