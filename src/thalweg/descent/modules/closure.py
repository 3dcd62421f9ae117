"""A closure as a function of the flat vector: its value, its gradient, and products with its Hessian."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch

from thalweg.curvature import Products
from thalweg.curvature.differentiation import gradients
from thalweg.descent.failures import BudgetSpentError
from thalweg.descent.modules.curvature_closure import apart
from thalweg.descent.objective import Objective
from thalweg.errors import DescentError, GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.descent.modules.curvature_closure import CurvatureClosure
    from thalweg.descent.modules.scaling import Scaling
    from thalweg.descent.modules.variables import Variables
    from thalweg.descent.trial import Evaluated, Trial

_ROUNDINGS = 1000
"""How many roundings the loss may differ by where the closure is evaluated twice."""


class ClosureFunction:
    """Evaluates the closure where a vector says, and differentiates the loss unless the closure has gone backward.

    The closure returns the loss, or the loss and the model's outputs. What is asked of a point that is no longer the
    last one evaluates the closure there once more, and counts it. `is_doubted` says that the closure must be
    deterministic, and is not known to be.
    """

    def __init__(  # a closure, and how it is evaluated
        self,
        closure: Callable[[], Any],
        variables: Variables,
        *,
        scaling: Scaling,
        needs_curvature: bool,
        is_doubted: bool,
        curvature: CurvatureClosure | None = None,
        budget: float,
        deadline: float,
    ) -> None:
        self.objective = Objective(
            self._value,
            torch.Size([variables.size]),
            gradient=self._gradient,
            product=self._product,
            budget=budget,
            deadline=deadline,
        )
        if curvature is not None:
            self.objective.evaluated = self._evaluated
        self.variables = variables
        self.is_doubted = is_doubted
        self.first: Any = None
        """The loss that the closure gave first, without its graph."""
        self._closure = closure
        self._curvature = curvature
        self._outputs: object = None
        self._evaluated_at: Evaluated | None = None
        self._scaling = scaling
        self._needs_curvature = needs_curvature
        self._at: Tensor | None = None
        self._loss: Tensor | None = None
        self._slope: Tensor | None = None
        self._products: Products | None = None
        self._known: tuple[Tensor, float] | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether a scaler is at work, which expects that steps are left out."""
        return bool(self._scaling)

    def arrive(self, here: Trial) -> None:
        """Take note of where the descent has come to, from where it is the best point so far."""
        self.objective.best = here
        self._known = (here.x, here.f)

    def _value(self, z: Tensor) -> float:
        if self._known is None:
            return self._first_value(z)
        value = self._evaluate(z)
        if _is_same(z, self._known[0]):
            self._compare(self._known[1], value)
        return value

    def _first_value(self, z: Tensor) -> float:
        """The value where the descent begins; if the closure draws random numbers there, whether it goes by them.

        That is the only evaluation that is spent on it: a closure that draws none is taken at its word, until a search
        along a line finds no lower point.
        """
        before = _generator_states(z.device) if self.is_doubted else None
        value = self._evaluate(z)
        self._known = (z, value)
        if before is not None and not torch.equal(before, _generator_states(z.device)):
            with contextlib.suppress(BudgetSpentError):
                self._spend()
                self._compare(value, self._evaluate(z))
                self.is_doubted = False
        return value

    def _compare(self, first: float, again: float) -> None:
        rounding = _ROUNDINGS * torch.finfo(self.variables.start.dtype).eps * abs(first)
        if math.isfinite(first) and not abs(again - first) <= rounding:
            raise DescentError(
                f"the closure is not deterministic: at the same parameters the loss was {first!r}, and then {again!r}; "
                "a search compares losses, so draw the minibatch outside of the closure and switch dropout off "
                "(`model.eval()`), or take steps of a fixed size, as with `step_size=0.1`"
            )

    def _evaluate(self, z: Tensor) -> float:
        variables = self.variables
        self._at = self._loss = self._slope = self._products = self._outputs = self._evaluated_at = None
        variables.place(z)
        for parameter in variables.parameters:
            parameter.grad = None
        with torch.enable_grad():
            returned = self._closure()
        loss, outputs = apart(returned)
        value = _number(loss)
        if self._known is None:
            self.first = loss.detach() if isinstance(loss, torch.Tensor) else loss
        self._at = z
        if any(parameter.grad is not None for parameter in variables.parameters):
            self._take_gradients(z)
        elif isinstance(loss, torch.Tensor) and loss.requires_grad:
            self._loss = loss
            self._outputs = outputs if self._curvature is not None else None
            self._products = Products(loss, variables.parameters) if self._needs_curvature else None
        else:
            raise GradientError(
                "the closure left no gradients, and the loss that it returned has no graph; let it go backward, or "
                "return the loss as torch's operations compute it from the parameters"
            )
        if self._needs_curvature and self._products is None:
            raise GradientError(
                "this method needs second derivatives, and the closure has gone backward, which frees the graph; let "
                "it only return the loss"
            )
        return value + variables.penalty(z)

    def _take_gradients(self, z: Tensor) -> None:
        """Read the gradients that are in the parameters."""
        self._scaling.unscale()
        pieces = [parameter.grad for parameter in self.variables.parameters]
        if any(piece is not None and piece.layout != torch.strided for piece in pieces):
            raise GradientError(
                "the gradient of a parameter is sparse, and a descent needs dense ones; make the layer with "
                "sparse=False"
            )
        self._slope = self.variables.slope(pieces, z)

    def _gradient(self, z: Tensor) -> Tensor:
        self._return_to(z)
        if self._slope is None:
            assert self._loss is not None  # noqa: S101  # the closure was evaluated here
            parameters = self.variables.parameters
            with torch.enable_grad():
                loss = self._scaling.scale(self._loss.sum())
            found = gradients(loss, parameters, create_graph=False)
            for parameter, slope in zip(parameters, found, strict=True):
                parameter.grad = slope
            self._take_gradients(z)
            if self._curvature is None or self._curvature.closure is not None:
                self._loss = None
        assert self._slope is not None  # noqa: S101  # as above
        return self._slope

    def _product(self, z: Tensor, v: Tensor) -> Tensor:
        self._return_to(z)
        assert self._products is not None  # noqa: S101  # as above
        with torch.enable_grad():
            product = self._products.hessian(self.variables.inside(v))
        return self.variables.bent(product, v)

    def _evaluated(self, z: Tensor) -> Evaluated:
        """The loss, the outputs and their graphs there, of the curvature closure if there is one."""
        assert self._curvature is not None  # noqa: S101  # else nobody asks
        self._return_to(z)
        if self._evaluated_at is None:
            loss, outputs = self._loss, self._outputs
            if self._curvature.closure is None and loss is None:
                raise GradientError(
                    "this method takes the curvature through the outputs, and the closure has gone backward, which "
                    "frees the graph; let it only return (loss, outputs)"
                )
            if self._curvature.closure is not None:
                self._spend()
                loss, outputs = self._curvature.call()
            self._evaluated_at = self._curvature.checked(loss, outputs, self.variables)
        return self._evaluated_at

    def _return_to(self, z: Tensor) -> None:
        """Evaluate the closure at a point again, if another one was looked at since."""
        if self._at is None or not _is_same(z, self._at):
            self._spend()
            self._evaluate(z)

    def _spend(self) -> None:
        self.objective.spend()
        self.objective.nfev += 1


def _is_same(z: Tensor, other: Tensor) -> bool:
    """Whether they are the same point; one vector in memory, that both of them keep, need not be read."""
    return z.data_ptr() == other.data_ptr() or torch.equal(z, other)


def _number(loss: object) -> float:
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        return float(loss.detach())
    if isinstance(loss, int | float):
        return float(loss)
    said = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
    raise GradientError(f"the closure returned {said}; let it return the loss, one number")


def _generator_states(device: torch.device) -> Tensor:
    """Where torch's own random numbers stand."""
    on_cpu = torch.get_rng_state()
    return torch.cat((on_cpu, torch.cuda.get_rng_state(device))) if device.type == "cuda" else on_cpu
