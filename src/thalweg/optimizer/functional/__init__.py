"""The optimizer as pure functions, for learning through its steps."""

from thalweg.optimizer.functional.optimizer import FunctionalOptimizer, FunctionalState, functional

__all__ = ["FunctionalOptimizer", "FunctionalState", "functional"]
