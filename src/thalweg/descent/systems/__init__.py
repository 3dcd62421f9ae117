"""How a direction is found that solves (B + λI) d = −g: by conjugate gradients on products with B, or exactly."""

from thalweg.descent.systems.conjugate_gradients import Iterate, Iterates, conjugate_gradients
from thalweg.descent.systems.endings import Progress, Residual
from thalweg.descent.systems.exact import solve_by_columns, solve_by_rows

__all__ = ["Iterate", "Iterates", "Progress", "Residual", "conjugate_gradients", "solve_by_columns", "solve_by_rows"]
