"""Classes with the names, arguments, numbers and `state_dict` of torch's optimizers: faces of the one `Optimizer`."""

from thalweg.optimizer.dropin.adafactor import Adafactor
from thalweg.optimizer.dropin.adagrad import Adadelta, Adagrad, RMSprop
from thalweg.optimizer.dropin.adam import Adam, Adamax, AdamW
from thalweg.optimizer.dropin.asgd import ASGD
from thalweg.optimizer.dropin.muon import Muon
from thalweg.optimizer.dropin.nadam import NAdam
from thalweg.optimizer.dropin.radam import RAdam
from thalweg.optimizer.dropin.sgd import SGD, Rprop
from thalweg.optimizer.dropin.sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
]
