"""The stages that see a weight whole, as a matrix: the methods of `thalweg.matrix`, for some of the parameters.

They load torch when they are called, so that naming them costs nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thalweg.formula import Schedule, Value
    from thalweg.matrix import MatrixRule, MatrixStage


@dataclass(frozen=True)
class Whole:
    """A matrix method in a chain; the same face as `thalweg.formula.Stage`."""

    method: MatrixStage
    only: tuple[str, ...] = ()
    """The roles and patterns of names of the parameters that it is for; none means all."""
    skip: tuple[str, ...] = ()
    """Those of the parameters that it leaves out."""

    @property
    def rule(self) -> MatrixRule:
        """The method without its settings."""
        return self.method.rule

    @property
    def typed(self) -> tuple[tuple[str, Value], ...]:
        """The settings that were typed."""
        return self.method.typed

    @property
    def values(self) -> dict[str, Value]:
        """Every hyper-parameter's value, typed or default."""
        return self.method.values

    @property
    def options(self) -> dict[str, Value]:
        """The settings that change the method itself."""
        return self.method.options

    @property
    def numbers(self) -> dict[str, float | Schedule]:
        """The settings that are numbers or schedules."""
        return self.method.numbers

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states that it may keep; which of them a parameter has can depend on its shape."""
        import torch  # noqa: PLC0415  # loaded already: the method is made of it

        settings = {name: value(0) if callable(value) else value for name, value in self.values.items()}
        return tuple(self.rule.begin(torch.empty((1, 1, 1), device="meta"), settings))

    def refusal(self, shape: Sequence[int], role: str | None) -> str:
        """Why it does not step a parameter of that shape and role; nothing if it does, or if the role is not known."""
        if role == "vector":
            why = "" if "bias" in self.rule.roles else f"{self.rule.name} takes matrices, and the parameter is a vector"
            return why or self.method.refusal(tuple(shape))
        known: dict[str | None, str] = {"convolution": "matrix"}  # filters by rest
        return self.method.refusal(tuple(shape), known.get(role, role))  # pyright: ignore[reportArgumentType]

    def replace(self, numbers: Mapping[str, Value]) -> Whole:
        """The same stage with other values. Raises `HyperparameterError`."""
        return dataclasses.replace(self, method=self.method.replace(numbers))

    @property
    def form(self) -> Whole:
        """The same stage without its numbers."""
        bare = dataclasses.replace(self.method, typed=self.method.typed_options, by_position=0)
        return dataclasses.replace(self, method=bare)

    def __repr__(self) -> str:
        chosen = {"only": self.only, "skip": self.skip}
        parts = [f"{name}={(some[0] if len(some) == 1 else some)!r}" for name, some in chosen.items() if some]
        return f"{self.rule.name}({', '.join([*self.method.arguments, *parts])})"


@dataclass(frozen=True)
class MatrixMethod:
    """A method that sees a weight as a matrix. Calling it gives a stage of a chain.

    Its settings, its source and when to use it: `method.rule`, or `thalweg.matrix.get(name)`.

    >>> muon(momentum=0.9, only="matrix")
    muon(momentum=0.9, only='matrix')
    """

    name: str

    @property
    def rule(self) -> MatrixRule:
        """The method itself, with its hyper-parameters and where each default comes from."""
        from thalweg.matrix import get  # noqa: PLC0415  # it needs torch

        return get(self.name)

    def __call__(
        self,
        *first: float | Schedule,
        only: str | Iterable[str] = (),
        skip: str | Iterable[str] = (),
        **settings: Value,
    ) -> Whole:
        """A stage with these settings; the first hyper-parameter may be given by position.

        `only` and `skip` say for which parameters it stands in the chain, by role (`matrix`, `convolution`, …) or by a
        pattern of the name (`layers.*.weight`).

        Raises `HyperparameterError` for an unknown name, a value out of range, or one that has no effect.
        """
        return Whole(self.rule(*first, **settings), _as_names(only), _as_names(skip))

    def __repr__(self) -> str:
        return f"<matrix method {self.name}>"


def _as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


full_matrix_adagrad = MatrixMethod("full_matrix_adagrad")
shampoo = MatrixMethod("shampoo")
soap = MatrixMethod("soap")
muon = MatrixMethod("muon")
psgd_kron = MatrixMethod("psgd_kron")


def matrix_methods() -> dict[str, MatrixMethod]:
    """Every method that sees a weight as a matrix, by its name, from the oldest on; torch is not loaded."""
    return {method.name: method for method in (full_matrix_adagrad, shampoo, soap, muon, psgd_kron)}
