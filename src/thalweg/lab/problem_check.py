"""Whether a problem can be raced at all: one step and one evaluation, each fault told in a sentence."""

from __future__ import annotations

import math
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from thalweg.errors import ThalwegError
from thalweg.lab.evaluation import evaluate
from thalweg.lab.minibatches import drawn
from thalweg.lab.problem import describe

if TYPE_CHECKING:
    from thalweg.lab.problem import Problem

SEED = 0


def check(problem: Problem, *, file: Path | None = None) -> None:
    """Raise a ProblemError that says what is wrong, unless the problem can be raced.

    `file` is where the problem is from: an exception in there is told with its line.
    """
    doing = "loading its data"
    try:
        batch = next(drawn(problem, SEED))
        _ = problem.test_set
        doing = "its model"
        model = _check_model(problem)
        doing = "its loss on the first batch"
        _check_loss(problem, problem.loss(model, batch), model)
        doing = "its evaluation on the test set"
        scores = evaluate(problem, model)
    except ThalwegError:
        raise
    except Exception as error:
        raise problem.error(f"{doing} raised {tell(error, file=file)}") from error
    if not math.isfinite(scores["test_loss"]):
        raise problem.error(
            f"its loss on the test set starts at {scores['test_loss']}; check the test data and the loss"
        )


def tell(error: BaseException, *, file: Path | None = None) -> str:
    """An exception in a phrase: its type, its message's first line, and where it passed through `file`.

    An error of Thalweg's own says enough without its type.

    >>> tell(ValueError("no such key"))
    'ValueError: no such key'
    """
    first_line = str(error).strip().partition("\n")[0]
    kind = type(error).__name__
    said = first_line if isinstance(error, ThalwegError) else f"{kind}: {first_line}" if first_line else kind
    frames = [] if file is None else traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if file is not None and Path(frame.filename) == file]
    return f"{said} (line {lines[-1]})" if lines else said


def _check_model(problem: Problem) -> nn.Module:
    model, again = problem.build_model(SEED), problem.build_model(SEED)
    if model is again:
        raise problem.error("model() returned the same model twice; let it build a new one each time")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise problem.error("its model has no parameter to train")
    for (name, first), second in zip(model.named_parameters(), again.parameters(), strict=True):
        if not torch.equal(first, second):
            raise problem.error(
                f"two models of one seed start with different `{name}`; draw the initialisation from torch's "
                "random numbers, without a seed of your own, so that all optimizers start alike"
            )
    return model


def _check_loss(problem: Problem, loss: object, model: nn.Module) -> None:
    if not isinstance(loss, Tensor):
        raise problem.error(f"its loss must return a tensor, but returned {describe(loss)}")
    if loss.ndim > 0:
        shape = tuple(loss.shape)
        raise problem.error(f"its loss must return a scalar, but returned a tensor of shape {shape}; take its mean")
    if not loss.isfinite():
        raise problem.error(f"its loss starts at {loss.item()} on the first batch; check the data and the loss")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True) if loss.requires_grad else ()
    found = [gradient for gradient in gradients if gradient is not None]  # pyright: ignore[reportUnnecessaryComparison]
    if not found:
        raise problem.error(
            "its loss does not depend on the parameters; compute it from the model's output, undetached"
        )
    if not all(bool(gradient.isfinite().all()) for gradient in found):
        raise problem.error("the gradient of its loss is not finite on the first batch; check the loss")
