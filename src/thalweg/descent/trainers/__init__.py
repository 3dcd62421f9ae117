"""Methods that train a model minibatch by minibatch, as inert values: K-FAC, PRONG, and any descent."""

from __future__ import annotations

from thalweg.descent.trainers.catalogue import trainers
from thalweg.descent.trainers.layered import kfac, prong
from thalweg.descent.trainers.minibatches import by_minibatch
from thalweg.descent.trainers.trainer import Trainer

__all__ = ["Trainer", "by_minibatch", "kfac", "prong", "trainers"]
