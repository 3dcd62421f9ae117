"""Descents as optimizers of modules, with the face of `torch.optim`."""

from thalweg.descent.modules.hessian_free import HessianFree
from thalweg.descent.modules.lbfgs import LBFGS
from thalweg.descent.modules.natural_gradient import NaturalGradient
from thalweg.descent.modules.optimizer import DescentOptimizer

__all__ = ["LBFGS", "DescentOptimizer", "HessianFree", "NaturalGradient"]
