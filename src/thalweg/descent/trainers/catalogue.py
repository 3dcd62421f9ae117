"""The trainers that have a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.descent.descent import descent
from thalweg.descent.directions import lbfgs
from thalweg.descent.trainers.layered import kfac, prong
from thalweg.descent.trainers.minibatches import by_minibatch

if TYPE_CHECKING:
    from thalweg.descent.trainers.trainer import Trainer


def trainers() -> dict[str, Trainer]:
    """Every trainer that has a name, by its name. A descent of `methods()` trains under its own, see `by_minibatch`.

    >>> trainers()["prong_plus"]
    prong(form='prong+')
    """
    return {
        "kfac": kfac(),
        "prong": prong(),
        "prong_plus": prong(form="prong+"),
        "stochastic_lbfgs": by_minibatch(descent(direction=lbfgs(damping=0.2), step_size=0.3)),
    }
