"""torch's face: the one optimizer, the drop-in classes for torch's, and checkpoints by parameter name."""

from thalweg.optimizer.checkpoint_file import load, save
from thalweg.optimizer.closures import SAM, EntropySGD, LookAheadNesterov
from thalweg.optimizer.dropin import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from thalweg.optimizer.estimators import Estimator, equilibration, gauss_newton_bartlett, hutchinson
from thalweg.optimizer.finite_difference import finite_difference
from thalweg.optimizer.foreign import load_torch_state, torch_state
from thalweg.optimizer.functional import FunctionalOptimizer, FunctionalState, functional
from thalweg.optimizer.load_report import LoadReport
from thalweg.optimizer.named import load_named_state, named_state
from thalweg.optimizer.optimizer import Optimizer

__all__ = [
    "ASGD",
    "SAM",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "EntropySGD",
    "Estimator",
    "FunctionalOptimizer",
    "FunctionalState",
    "LoadReport",
    "LookAheadNesterov",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "equilibration",
    "finite_difference",
    "functional",
    "gauss_newton_bartlett",
    "hutchinson",
    "load",
    "load_named_state",
    "load_torch_state",
    "named_state",
    "save",
    "torch_state",
]
