"""torch's face: the one optimizer, and the drop-in classes for torch's."""

from thalweg.optimizer.dropin import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, RAdam, RMSprop, Rprop
from thalweg.optimizer.optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Optimizer", "RAdam", "RMSprop", "Rprop"]
