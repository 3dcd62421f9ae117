"""Optimizers that evaluate loss and gradient more than once in a step, at other points than the parameters."""

from thalweg.optimizer.closures.entropy_sgd import EntropySGD
from thalweg.optimizer.closures.look_ahead import LookAheadNesterov
from thalweg.optimizer.closures.sam import SAM

__all__ = ["SAM", "EntropySGD", "LookAheadNesterov"]
