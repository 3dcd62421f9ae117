"""The methods that see a weight as a matrix, for stacks of weights of equal shape.

>>> import torch
>>> from thalweg.matrix import muon
>>> weights, gradients = torch.zeros(24, 64, 32), torch.randn(24, 64, 32)
>>> states = muon.begin(weights)
>>> muon.direction(gradients, states, {"momentum": 0.9}, step=1).shape
torch.Size([24, 64, 32])
>>> muon(polar="svd"), muon.takes((64, 32), "matrix"), muon.takes((64, 32), "embedding")
(muon(polar='svd'), True, False)
"""

from thalweg.errors import UnknownNameError, did_you_mean
from thalweg.matrix.full_matrix_adagrad import full_matrix_adagrad, regret_bound
from thalweg.matrix.language import Count, matrix_rule
from thalweg.matrix.muon import muon
from thalweg.matrix.psgd_kron import psgd_kron
from thalweg.matrix.rule import ROLES, MatrixRule, Role
from thalweg.matrix.shampoo import shampoo
from thalweg.matrix.soap import soap
from thalweg.matrix.stack import States, as_matrix
from thalweg.matrix.stage import MatrixStage

_RULES = (full_matrix_adagrad, shampoo, soap, muon, psgd_kron)


def catalogue() -> dict[str, MatrixRule]:
    """Every matrix method by its name, from the oldest on."""
    return {rule.name: rule for rule in _RULES}


def get(name: str) -> MatrixRule:
    """The method of that name. Raises `UnknownNameError`, with the nearest names, if there is none."""
    rules = catalogue()
    if name not in rules:
        raise UnknownNameError(f"there is no matrix method `{name}`; {did_you_mean(name, rules)}")
    return rules[name]


__all__ = [
    "ROLES",
    "Count",
    "MatrixRule",
    "MatrixStage",
    "Role",
    "States",
    "as_matrix",
    "catalogue",
    "full_matrix_adagrad",
    "get",
    "matrix_rule",
    "muon",
    "psgd_kron",
    "regret_bound",
    "shampoo",
    "soap",
]
