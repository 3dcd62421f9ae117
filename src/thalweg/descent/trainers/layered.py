"""K-FAC and PRONG as trainers: their options, and a chain or a learning rate."""

# A trainer's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from thalweg.chain import Chain, Route
from thalweg.chain import chain as chain_of
from thalweg.chain import step as step_stage
from thalweg.descent.part import number, whole
from thalweg.descent.trainers.trainer import Trainer
from thalweg.errors import ChainError, HyperparameterError
from thalweg.formula import Range
from thalweg.rules import heavy_ball

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn, optim

    from thalweg.descent.kronecker.factors import Sharing
    from thalweg.descent.kronecker.settings import Fisher, Rescale, Tikhonov
    from thalweg.descent.whitening.coordinates import Turn
    from thalweg.descent.whitening.settings import Form, Momentum
    from thalweg.formula import Schedule, Stage
    from thalweg.optimizer.layout import Backend


@dataclass(frozen=True, repr=False)
class _Layered(Trainer):
    """A method around a chain, for models with layers of a kind."""

    chain: Chain | Route | None = None
    _: KW_ONLY
    lr: float | Schedule | None = None
    skip: str | Sequence[str] = ()

    usual_rate: ClassVar[float]
    """The rate of heavy ball where no chain and no rate are given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.chain is not None and not isinstance(self.chain, Chain | Route):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise ChainError(f"{name}: {self.chain!r} is no chain; write for example {name}(chain(adam(), step(lr)))")
        if self.chain is not None and self.lr is not None:
            raise HyperparameterError(f"{name}: the chain has its own rate, and `lr` is another; leave one of them out")
        if self.lr is not None:
            _ = step_stage(self.lr)
        self._check()

    @property
    def rate(self) -> float | None:
        """Its learning rate; None where a chain or a schedule has it."""
        if self.chain is not None or callable(self.lr):
            return None
        return self.usual_rate if self.lr is None else self.lr

    def with_rate(self, rate: float) -> Self:
        """The same with another learning rate."""
        return dataclasses.replace(self, lr=rate)

    @abstractmethod
    def _check(self) -> None:
        """Raise `HyperparameterError` for options that cannot be."""

    @abstractmethod
    def _usual(self) -> Stage:
        """What steps by `lr`."""

    def _chain(self) -> Chain | Route | None:
        return self.chain if self.lr is None else chain_of(self._usual(), step_stage(self.lr))

    def _options(self, *without: str) -> dict[str, Any]:
        """What the optimizer takes besides the chain, as it is set here."""
        left_out = {"chain", "lr", *without}
        return {
            known.name: getattr(self, known.name) for known in dataclasses.fields(self) if known.name not in left_out
        }


@dataclass(frozen=True, repr=False, kw_only=True)
class kfac(_Layered):
    """Natural gradient, each layer's Fisher block taken for a Kronecker product of two small matrices.

    For models with Linear or Conv2d layers; everything else in them is stepped by the plain gradient. The options are
    those of `tw.KFAC`, and so is `chain`; without one it is heavy ball by `lr`.
    With `rescale="momentum"` and `adapt_every=5` there is no rate to tune. `kl_clip` is in the loss's units.

    Martens and Grosse 2015, arXiv:1503.05671; Grosse and Martens 2016, arXiv:1602.01407.
    """

    optimizer_name: ClassVar[str] = "KFAC"
    usual_rate: ClassVar[float] = 0.1
    when: ClassVar[str] = "Networks of Linear and Conv2d layers, where gradient methods need very many steps."
    spends: ClassVar[str] = (
        "the gradient; another for each label that is drawn, every so many steps; with `rescale`, two products; what "
        "its matrices take is time alone"
    )
    damping: float | Schedule = number(Range(0), schedules=True, default=1e-2, source="ours")  # noqa: RUF009  # a field
    decay: float = number(Range(0, 1), default=0.95, source="Martens and Grosse 2015, section 5")
    every: int = whole(1, default=1, source="ours")
    inverse_every: int = whole(1, default=10, source="ours")
    fisher: Fisher = "sampled"
    samples: int = whole(1, default=1, source="ours")
    sharing: Sharing = "expand"
    tikhonov: Tikhonov = "factored"
    kl_clip: float | None = number(Range(0, low_included=False), optional=True, default=1e-2, source="ours")
    rescale: Rescale | None = None
    adapt_every: int | None = whole(1, default=None)
    seed: int = whole(0, default=0)

    @property
    def rate(self) -> float | None:
        """Its learning rate; None where a chain has it, or the step is fitted."""
        return None if self.rescale is not None and self.lr is None else super().rate

    @property
    def needs_outputs(self) -> bool:
        """Whether labels are drawn from the outputs, or the step is fitted."""
        return self.fisher != "empirical" or self.rescale is not None

    def optimizer(self, model: nn.Module, *, backend: Backend = "auto") -> optim.Optimizer:
        """`tw.KFAC` of the model."""
        from thalweg.descent.kronecker import KFAC  # noqa: PLC0415  # what only prints needs no optimizer

        return KFAC(model, self._chain(), backend=backend, **self._options())

    def _check(self) -> None:
        from thalweg.descent.kronecker.settings import Settings  # noqa: PLC0415  # as above

        options = self._options("damping", "skip")
        if self.rescale is not None:
            options["kl_clip"] = None
        _ = Settings(**options)

    def _usual(self) -> Stage:
        return heavy_ball(form="torch")


@dataclass(frozen=True, repr=False, kw_only=True)
class prong(_Layered):
    """Gradient steps in coordinates in which each layer's inputs are white; PRONG⁺ is `form="prong+"`.

    For models with Linear or Conv2d layers; everything else in them is stepped as it is. The options are those of
    `tw.PRONG`, and so is `chain`; without one it is heavy ball by `lr`.

    Desjardins et al. 2015, arXiv:1507.00210.
    """

    optimizer_name: ClassVar[str] = "PRONG"
    usual_rate: ClassVar[float] = 0.01
    when: ClassVar[str] = "Deep networks whose layers are given inputs far from zero, or that vary together."
    spends: ClassVar[str] = "the gradient; what its matrices take is time alone"
    form: Form = "prong"
    every: int = whole(1, default=100, source="ours")
    window: int = whole(1, default=1, source="ours")
    epsilon: float = number(Range(0), default=1e-2, source="ours")
    whitening: Turn = "pca"
    momentum: Momentum = "reset"

    def optimizer(self, model: nn.Module, *, backend: Backend = "auto") -> optim.Optimizer:
        """`tw.PRONG` of the model."""
        from thalweg.descent.whitening import PRONG  # noqa: PLC0415  # what only prints needs no optimizer

        return PRONG(model, self._chain(), backend=backend, **self._options())

    def _check(self) -> None:
        from thalweg.descent.whitening.settings import Settings  # noqa: PLC0415  # as above

        _ = Settings(**self._options("skip"))

    def _usual(self) -> Stage:
        return heavy_ball()
