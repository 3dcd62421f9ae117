"""The mean or the sum of a loss over a data set, batch by batch, as long as parameters and data stay what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from thalweg.curvature.data import Examples, examples_of
from thalweg.curvature.divisors import Reduction, divisor_of
from thalweg.errors import CurvatureError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from thalweg.curvature.flat import Layout


@dataclass(frozen=True)
class Batch:
    """One batch at the parameters as they are: `compute` gives the loss and the outputs, with their graph."""

    number: int
    loss: Tensor
    outputs: list[Tensor]
    targets: Any
    divisor: float
    """What the loss has divided a sum over the examples by."""
    compute: Callable[[], tuple[Tensor, list[Tensor]]]


@dataclass(eq=False)
class Risk:
    """A model × a loss × batches. Raises `CurvatureError` for a loss that is not one finite number, always the same."""

    model: Callable[..., Any]
    loss: Callable[[Any, Any], Tensor]
    data: Iterable[Any]
    layout: Layout
    reduction: Reduction
    count: Callable[[Any, Any], float] | None = None
    _losses: list[float] = field(default_factory=list, init=False)
    """Each batch's share in the first pass."""
    _parameters: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._parameters = self.layout.join(self.layout.parameters)
        for batch in self.data:
            once, twice = (self._computed(0, batch).loss.item() for _ in range(2))
            if once != twice and math.isfinite(once):
                raise CurvatureError(
                    f"the loss of the same batch was {once!r} and then {twice!r}; switch off what draws random "
                    "numbers, such as dropout, by `model.eval()`"
                )
            return
        raise DataError("the data has no batch")

    @property
    def is_one_batch(self) -> bool:
        """Whether there is just one batch, as far as that can be known."""
        return len(self.data) == 1 if isinstance(self.data, list) else len(self._losses) == 1

    def refuse_moved(self) -> None:
        """Raise `CurvatureError` where the parameters are not those at which this was made."""
        if not torch.equal(self._parameters, self.layout.join(self.layout.parameters)):
            raise CurvatureError("the parameters have moved since the operator was made; make a new one where they are")

    def batches(self, *, in_order: bool) -> Iterator[Batch]:
        """One pass. With `in_order` the batches must be the first pass's one by one, else in their sum."""
        losses: list[float] = []
        for number, given in enumerate(self.data):
            batch = self._computed(number, given)
            losses.append(float(batch.loss.detach()) * batch.divisor if batch.divisor else 0.0)
            if batch.divisor:  # else all of its labels are ignored, and its mean is that of nothing
                yield batch
            del batch  # its graph, before there is the next one's
        first, self._losses = self._losses or losses, self._losses or losses
        pairs = zip(losses, first, strict=False) if in_order else [(math.fsum(losses), math.fsum(first))]
        near = torch.finfo(self.layout.dtype).eps ** 0.5
        if len(losses) != len(first) or not all(math.isclose(a, b, rel_tol=near, abs_tol=near) for a, b in pairs):
            raise DataError(
                f"the data is not what it was in the first pass: {len(first)} batches then, {len(losses)} now, with "
                f"other losses{' or another order' if in_order else ''}; give the same batches each time, not drawn or "
                "shuffled anew"
            )

    def _computed(self, number: int, given: object) -> Batch:
        examples = (given if isinstance(given, Examples) else examples_of(given)).to(self.layout.device)
        compute = partial(self._compute, examples)
        loss, outputs = compute()
        divisor = self._divisor(examples, outputs)
        if divisor and not math.isfinite(loss.detach().item()):
            raise CurvatureError(f"the loss of batch {number} is {loss.item()}; look for what is not finite in it")
        return Batch(number, loss, outputs, examples.targets, divisor, compute)

    def _compute(self, examples: Examples) -> tuple[Tensor, list[Tensor]]:
        buffers = list(self.model.buffers()) if isinstance(self.model, nn.Module) and self.model.training else []
        kept = [buffer.clone() for buffer in buffers]  # running statistics, which a look at the curvature must not move
        try:
            with torch.enable_grad():
                given = self.model(*examples.positional, **examples.named)
                loss = cast("object", self.loss(given, examples.targets))
        finally:
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.data.copy_(value)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            found = f"the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"the type {type(loss).__name__}"
            raise CurvatureError(f"the loss has {found}; it must be a tensor of one number, as of `reduction='mean'`")
        return loss, _outputs(given)

    def _divisor(self, examples: Examples, outputs: Sequence[Tensor]) -> float:
        if self.reduction == "sum":
            return 1.0
        if self.count is not None:
            return float(self.count(outputs[0] if len(outputs) == 1 else outputs, examples.targets))
        return divisor_of(self.loss, outputs, examples.targets, examples.rows)


def _outputs(given: object) -> list[Tensor]:
    """The tensors with a graph in what a model gives: one, several, or several by name."""
    if isinstance(given, Mapping):
        given = list(given.values())
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [tensor for tensor in several if isinstance(tensor, Tensor) and tensor.requires_grad]
