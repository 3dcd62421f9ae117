"""What a training problem is: a model, a loss, data and a budget, as one inert value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

import torch
from torch import Tensor, nn

from thalweg.errors import ProblemError

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch], Tensor]
DataOrder = Literal["reshuffled", "fixed"]

# What a race records of a run besides a problem's own metrics.
TAKEN_NAMES = frozenset({"step", "seconds", "loss", "train_loss", "test_loss"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Real training, for optimizers to race on.

    A race builds the model, draws minibatches from the training arrays, hands each to the loss, and steps. In
    a file of your own, call it `problem` and type `thalweg race my_problem.py`.

    >>> inputs = torch.linspace(-1, 1, 64).unsqueeze(1)
    >>> problem = Problem(
    ...     name="line",
    ...     model=lambda: nn.Linear(1, 1),
    ...     loss=lambda model, batch: nn.functional.mse_loss(model(batch[0]), batch[1]),
    ...     train=(inputs, 3 * inputs + 1),
    ...     test=(inputs, 3 * inputs + 1),
    ...     batch_size=16,
    ...     steps=100,
    ... )
    >>> problem.build_model(seed=0)
    Linear(in_features=1, out_features=1, bias=True)
    """

    name: str
    """What the command line and the records call it: letters, digits, `_`, `-` and `.`."""
    title: str = ""
    """What the report calls it; the name, if empty."""
    model: Callable[[], nn.Module]
    """Builds a new model. The random numbers that it draws from torch are those of the run's seed."""
    loss: Loss
    """The mean loss over a batch, a scalar."""
    train: Batch | Callable[[], Batch]
    """The training arrays, examples along the first axis; or a function that loads them when needed."""
    test: Batch | Callable[[], Batch]
    """The test arrays, likewise."""
    metrics: Mapping[str, Loss] = field(default_factory=dict)
    """What else to measure on the test set, each a mean over a batch, as `{"accuracy": accuracy}`."""
    batch_size: int | None
    """How many examples a step sees; None: all of them, and who races is judged by the training loss."""
    steps: int
    """The budget of a run in gradient evaluations: a step of most optimizers takes one, of one minibatch."""
    data_order: DataOrder = "reshuffled"
    """"reshuffled": a new order for each epoch. "fixed": each epoch reuses the run's first order."""
    target: float | None = None
    """A loss worth reaching (as judged by, test or training), for the time to target; None: from tuned baselines."""
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By rule, the range of learning rates to begin tuning with, where the race's own would not do."""
    source: str = ""
    """Where the problem is from: a paper, a benchmark."""
    remark: str = ""
    """What to watch for."""
    provenance: str | Callable[[], str] = ""
    """Where the data is from, and which part of it this is; or a function that says so."""

    def __post_init__(self) -> None:
        # a user's file need not have been type-checked
        named = isinstance(self.name, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not named or not re.fullmatch(r"[\w.-]+", self.name):
            raise ProblemError(f"a problem's name is letters, digits, `_`, `-` and `.`; {self.name!r} is not")
        object.__setattr__(self, "title", self.title or self.name)
        for role, value in {"model": self.model, "loss": self.loss, **self.metrics}.items():
            if not callable(value):
                raise self.error(f"{role} must be a function, but is {describe(value)}")
        whole: dict[str, object] = {"batch_size": 1 if self.is_full_batch else self.batch_size, "steps": self.steps}
        for role, number in whole.items():
            if not isinstance(number, int) or number < 1:
                raise self.error(f"{role} must be a whole number of at least 1, but is {number!r}")
        self._check_settings()

    def _check_settings(self) -> None:
        if self.data_order not in {"reshuffled", "fixed"}:
            raise self.error(f"data_order must be 'reshuffled' or 'fixed', but is {self.data_order!r}")
        if self.target is not None and not math.isfinite(self.target):
            raise self.error(f"target must be a finite loss, but is {self.target!r}")
        for taken in TAKEN_NAMES & set(self.metrics):
            raise self.error(f"a metric cannot be called `{taken}`, which a race records by itself; rename it")
        for rule, (low, high) in self.rates.items():
            if not 0 < low <= high < math.inf:
                raise self.error(f"rates[{rule!r}] must be a range 0 < low ≤ high, but is ({low!r}, {high!r})")

    @property
    def is_full_batch(self) -> bool:
        """Whether each step sees all of the training data."""
        return self.batch_size is None

    @property
    def order(self) -> str:
        """The order of the data, as it is recorded."""
        return "all at once" if self.is_full_batch else self.data_order

    @cached_property
    def training_set(self) -> Batch:
        """The training arrays, loaded when first asked for."""
        arrays = self._load("train", self.train)
        if self.batch_size is not None and len(arrays[0]) < self.batch_size:
            raise self.error(
                f"its {len(arrays[0])} training examples do not fill one batch of {self.batch_size}; "
                "give it more, or make batch_size smaller"
            )
        return arrays

    @cached_property
    def test_set(self) -> Batch:
        """The test arrays, loaded when first asked for."""
        return self._load("test", self.test)

    def build_model(self, seed: int) -> nn.Module:
        """A new model with the initialisation of `seed`; torch's own random state stays as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self.error(f"model() must return a torch.nn.Module, but returned {describe(model)}")
        return model

    def spec(self) -> dict[str, object]:
        """What the records keep of the problem, in JSON's types: what decides a run, but code and data."""
        return {
            "title": self.title,
            "n_train": len(self.training_set[0]),
            "n_test": len(self.test_set[0]),
            "parameters": sum(p.numel() for p in self.build_model(0).parameters() if p.requires_grad),
            "batch_size": self.batch_size or "all examples",
            "steps": self.steps,
            "data_order": self.order,
            **({"judged_by": "train_loss"} if self.is_full_batch else {}),
            "metrics": list(self.metrics),
            "target": self.target,
            "rates": {rule: list(bounds) for rule, bounds in self.rates.items()},
            "source": self.source,
            "remark": self.remark,
            "provenance": self.provenance() if callable(self.provenance) else self.provenance,
        }

    def error(self, what: str) -> ProblemError:
        """An error about this problem, for raising."""
        return ProblemError(f"problem `{self.name}`: {what}")

    def _load(self, role: str, given: Batch | Callable[[], Batch]) -> Batch:
        arrays = given() if callable(given) else given
        if not _are_tensors(arrays):
            raise self.error(f"{role} must be a tuple of tensors, or return one, but is {describe(arrays)}")
        sizes = [len(array) if array.ndim else 0 for array in arrays] or [0]
        if min(sizes) == 0 or len(set(sizes)) > 1:
            counts = ", ".join(map(str, sizes))
            raise self.error(f"{role} needs equally many examples in all arrays, one at least, but has {counts}")
        return arrays


def describe(value: object) -> str:
    """What an error calls a value of a wrong kind.

    >>> describe(3), describe(None)
    ('an int', 'None')
    """
    kind = type(value).__name__
    return "None" if value is None else f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


def _are_tensors(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Tensor) for item in cast("tuple[object, ...]", value))
