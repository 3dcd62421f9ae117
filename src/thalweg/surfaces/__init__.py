"""Test surfaces: functions with known minima, saddles and curvature, to watch optimizers on.

`catalogue()` holds them all with their default settings and `get(name)` finds one; those that have settings
are built by the functions named here. Importing this package does not import PyTorch; evaluating a surface
does.
"""

from __future__ import annotations

from thalweg.surfaces.catalogue import catalogue, get
from thalweg.surfaces.points import CriticalPoint, Curvature
from thalweg.surfaces.quadratic import quadratic
from thalweg.surfaces.rastrigin import rastrigin
from thalweg.surfaces.rosenbrock import rosenbrock
from thalweg.surfaces.styblinski_tang import styblinski_tang
from thalweg.surfaces.surface import Surface

__all__ = [
    "CriticalPoint",
    "Curvature",
    "Surface",
    "catalogue",
    "get",
    "quadratic",
    "rastrigin",
    "rosenbrock",
    "styblinski_tang",
]
