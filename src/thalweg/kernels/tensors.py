"""Finds parameters and gradients where they are, at every step, and writes their addresses into a table.

They may move between steps (`zero_grad`, `p.data = …`). A tensor that is not dense in memory, or a gradient laid out
unlike its parameter, goes through a copy that is kept.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.layout import fits, wanted_strides
from thalweg.kernels.numba.scan import Scan, can_scan
from thalweg.kernels.plan import Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.kernels.numba.launch import Words

_GRADIENT = attrgetter("grad")
_ADDRESS = torch.Tensor.data_ptr
_PARAMETER_COLUMN, _GRADIENT_COLUMN = 0, 1
FIRST_SCANNED = 3
"""After how many steps it is worth while to look through torch's C interface."""


class Tensors:
    """The parameters of one launch and their gradients; `table` has a row for each, and their addresses come first.

    `by_row` wants rows in memory one after the other; `may_scan` allows a look through torch's C interface, while which
    no other thread runs.
    """

    scan: Scan | None = None
    """That look, once the tensors have long been where they were; it can launch a kernel, too."""

    def __init__(
        self, parameters: Sequence[Tensor], table: Words, *, by_row: bool = False, may_scan: bool = True
    ) -> None:
        self._parameters = list(parameters)
        self._table = table
        self._bound = [(p.shape, p.dtype, p.stride(), p.device) for p in parameters]
        self._strides = [wanted_strides(parameter, by_row=by_row) for parameter in parameters]
        self._copies = {
            place: torch.empty_strided(p.shape, strides, dtype=p.dtype, device=p.device)
            for place, (p, strides) in enumerate(zip(parameters, self._strides, strict=True))
            if not fits(p, strides)
        }
        self._gradient_copies: dict[int, Tensor] = {}
        self._copied_gradients: dict[int, Tensor] = {}
        self._addresses: Words | None = None
        self._held: list[Tensor] = []
        self._is_as_before: Callable[..., bool] | None = None
        self._looked = 0
        plain = all(type(p) in (torch.Tensor, torch.nn.Parameter) and p.is_contiguous() for p in parameters)
        self._may_scan = may_scan and plain and not self._copies

    def find(self) -> None:
        """Find them and write their addresses.

        Raises `TypeError` if a gradient is None, `RuntimeError` if it has no memory of its own (a sparse one), and
        `Moved` if a parameter has another shape, dtype or layout than it had.
        """
        if self.scan is not None and self.scan.find():
            return
        self.find_anew()

    def find_anew(self) -> None:
        """As `find`, from Python: somebody may have changed something."""
        if self.scan is not None:
            self.scan, self._looked = None, 0
        parameters = self._parameters
        count = len(parameters)
        gradients: list[Tensor] = list(map(_GRADIENT, parameters))
        gradient_addresses = np.fromiter(map(_ADDRESS, gradients), np.int64, count)
        addresses = np.fromiter(map(_ADDRESS, parameters), np.int64, count)
        moved = self._addresses is None or not np.array_equal(addresses, self._addresses)
        if moved or self._is_as_before is None or not self._is_as_before(*parameters, *gradients):
            self._check_parameters()
            self._addresses = addresses
            self._looked = 0
            self._table[:, _PARAMETER_COLUMN] = addresses
            for place, copy in self._copies.items():
                self._table[place, _PARAMETER_COLUMN] = copy.data_ptr()
            self._copy_gradients(gradients, gradient_addresses)
        self._table[:, _GRADIENT_COLUMN] = gradient_addresses
        self._held = gradients  # until they are launched upon: another thread may drop them meanwhile
        self._looked += 1
        if self._may_scan and self._looked == FIRST_SCANNED and self._is_as_before and can_scan():
            self.scan = Scan(parameters, addresses, self._table)

    def release(self) -> None:
        """Let go of the gradients that `find` holds: after a launch, torch keeps their memory for those behind it."""
        self._held = []
        self._copied_gradients = {}

    def fetch(self) -> None:
        """Copy those parameters that go through a copy."""
        for place, copy in self._copies.items():
            copy.copy_(self._parameters[place].detach())

    def return_parameters(self) -> None:
        """Copy them back."""
        for place, copy in self._copies.items():
            self._parameters[place].detach().copy_(copy)

    def return_gradients(self) -> None:
        """Copy those gradients back that went through a copy: a kernel has changed them."""
        for place, gradient in self._copied_gradients.items():
            gradient.detach().copy_(self._gradient_copies[place])

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        if self.scan is not None:
            self.scan.bump_versions()
        else:
            torch.autograd.graph.increment_version([p for p in self._parameters if not p.is_inference()])

    def _check_parameters(self) -> None:
        for parameter, bound in zip(self._parameters, self._bound, strict=True):
            if (parameter.shape, parameter.dtype, parameter.stride(), parameter.device) != bound:
                raise Moved

    def _copy_gradients(self, gradients: Sequence[Tensor], addresses: Words) -> None:
        """Copy those gradients that are laid out unlike their parameter; once there are none, look no more."""
        self._copied_gradients = {}
        for place, (gradient, parameter) in enumerate(zip(gradients, self._parameters, strict=True)):
            strides = self._strides[place]
            if gradient.dtype == parameter.dtype and fits(gradient, strides):
                continue
            if place not in self._gradient_copies:
                own = torch.empty_strided(parameter.shape, strides, dtype=parameter.dtype, device=parameter.device)
                self._gradient_copies[place] = own
            self._copied_gradients[place] = gradient
            addresses[place] = self._gradient_copies[place].copy_(gradient.detach()).data_ptr()
        self._is_as_before = None if self._copied_gradients else _guard([*self._parameters, *gradients])


def _guard(tensors: Sequence[Tensor]) -> Callable[..., bool] | None:
    """A quick check that tensors have the dtypes, sizes and strides that these have; torch.compile's own."""
    try:
        from torch._C._dynamo.guards import TensorGuards  # noqa: PLC0415  # private to torch: it may go away
    except ImportError:
        return None
    return TensorGuards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
