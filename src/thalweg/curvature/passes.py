"""How columns are multiplied: batch by batch, by two derivatives or by finite differences."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import torch

from thalweg.curvature.differences import Differences
from thalweg.curvature.products import Products
from thalweg.errors import CurvatureError, HyperparameterError, SecondDerivativeError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.curvature.kinds import Kind, Product
    from thalweg.curvature.risk import Batch, Risk

Way = Literal["auto", "exact", "differences"]


def checked_way(way: Way) -> Way:
    """The same, or `HyperparameterError` for what is none."""
    if way not in get_args(Way):
        raise HyperparameterError(f"`products` is {way!r}; {did_you_mean(str(way), get_args(Way))}")
    return way


@dataclass(eq=False)
class Passes:
    """The products of one kind over all batches; where there is only one, its graph is kept for the next product."""

    risk: Risk
    kind: Kind
    way: Way
    in_order: bool = field(default=False, kw_only=True)
    _kept: Product | None = field(default=None, init=False)

    def multiply(self, columns: Tensor) -> Tensor:
        """The matrix times columns (n, k)."""
        self.risk.refuse_moved()
        if self._kept is not None:
            return _each(self._kept, columns)
        total, divisor = torch.zeros_like(columns), 0.0
        for batch in self.risk.batches(in_order=self.in_order):
            product, found = self._of_batch(batch, columns)
            total.add_(found, alpha=batch.divisor)
            divisor += batch.divisor
            self._kept = product if self.risk.is_one_batch else None
            del batch, product  # and so the graph, before there is the next one's
        if not divisor:
            raise CurvatureError("no label of the data counts: the loss ignores them all")
        return total if self.risk.reduction == "sum" else total / divisor

    def _of_batch(self, batch: Batch, columns: Tensor) -> tuple[Product, Tensor]:
        differences = self.way == "differences"
        parameters = self.risk.layout.parameters
        try:
            at = (
                Differences(self.risk.layout, batch.compute)
                if differences
                else Products(batch.loss, parameters, batch.outputs)
            )
            product = self.kind(at, batch)
            return product, _each(product, columns)
        except SecondDerivativeError as error:
            if self.way != "auto":
                raise
            warnings.warn(
                f"{error}. Finite differences are taken instead, which are right to about "
                f"{torch.finfo(columns.dtype).eps ** (2 / 3):.0e}; with `products='differences'` this is not said",
                RuntimeWarning,
                stacklevel=5,
            )
            self.way = "differences"
            return self._of_batch(batch, columns)


def _each(product: Product, columns: Tensor) -> Tensor:
    return torch.stack([product(column) for column in columns.T], 1)
