"""Classes with the names, arguments, numbers and `state_dict` of torch's optimizers: faces of the one `Optimizer`."""

from thalweg.optimizer.dropin.adagrad import Adadelta, Adagrad, RMSprop
from thalweg.optimizer.dropin.adam import Adam, Adamax, AdamW
from thalweg.optimizer.dropin.radam import RAdam
from thalweg.optimizer.dropin.sgd import SGD, Rprop

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "RAdam", "RMSprop", "Rprop"]
