"""What a trainer is: an inert value that makes an optimizer for a model, and has it step on a minibatch."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from thalweg.descent.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor, nn

    from thalweg.optimizer.layout import Backend

    Batch = tuple[Tensor, ...]
    Evaluate = Callable[[Batch], Any]

COUNTS = ("nfev", "njev", "nhvp")


class Made(NamedTuple):
    """A step that was made: the loss where it began; what it has evaluated, in evaluations of one minibatch."""

    loss: float
    nfev: float
    njev: float
    nhvp: float


@dataclass(frozen=True, repr=False)
class Trainer(Part):
    """A method that steps a model, minibatch by minibatch."""

    optimizer_name: ClassVar[str]
    """What makes it in a program, as `tw.` has it."""
    spends: ClassVar[str]
    """What it asks of the loss for a step, as the rest of a sentence."""
    when: ClassVar[str] = ""
    """When to use it, in a sentence."""

    @property
    def rate(self) -> float | None:
        """Its learning rate, around which a race tunes; None where it has none."""
        return None

    def with_rate(self, rate: float) -> Self:  # noqa: ARG002  # for those that have one
        """The same with another learning rate."""
        return self

    @property
    def minibatches(self) -> int:
        """How many minibatches a step sees."""
        return 1

    @property
    def products(self) -> float:
        """Over which share of a step's examples a curvature product is; 0 where `most` does not bound any."""
        return 0.0

    @property
    def needs_outputs(self) -> bool:
        """Whether it asks for the outputs that the loss is computed from."""
        return False

    @property
    def has_matrix(self) -> bool:
        """Whether it makes a dense matrix of n × n, of n parameters."""
        return False

    @abstractmethod
    def optimizer(self, model: nn.Module, *, backend: Backend = "auto") -> torch.optim.Optimizer:
        """The optimizer of a model. Raises `ParameterError` where the model has nothing for it, and as its class."""

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Evaluate, batch: Batch, *, most: int) -> Made:  # noqa: ARG002  # for those that have a choice
        """Have the optimizer step on these examples, of which `evaluate` gives the loss with its graph.

        It gives (loss, outputs) where the trainer needs them. A descent evaluates `most` times at most, products
        included.
        """
        return made(optimizer, lambda: evaluate(batch))

    def __repr__(self) -> str:
        """As it is typed, without what is as usual."""
        arguments: list[str] = []
        for known in dataclasses.fields(self):
            value = getattr(self, known.name)
            if value is not known.default and value != known.default:
                arguments.append(f"{known.name}={value!r}" if known.kw_only else repr(value))
        return f"{type(self).__name__}({', '.join(arguments)})"


def made(optimizer: Any, closure: Callable[[], Any], *others: Any) -> Made:  # noqa: ANN401  # each has counters of these names
    """One call of `step`, with what the optimizer's counters say of it."""
    before = [getattr(optimizer, name) for name in COUNTS]
    loss = float(optimizer.step(closure, *others))
    return Made(loss, *(getattr(optimizer, name) - count for name, count in zip(COUNTS, before, strict=True)))
