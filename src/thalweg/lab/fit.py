"""Whether an optimizer can step what a problem has: asked before a race begins, not in each of its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.chain import Route, Whole
from thalweg.descent import Descent, Routine, Trainer
from thalweg.errors import RaceError, ThalwegError
from thalweg.lab.contenders import as_trained
from thalweg.lab.entries import SurfaceReference, problem_of
from thalweg.lab.following import needs_outputs
from thalweg.lab.spending import FUNCTION
from thalweg.lab.training_trainers import try_out
from thalweg.optimizer import Optimizer
from thalweg.optimizer.selection import check_patterns, kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thalweg.chain import Chain
    from thalweg.formula import Trace
    from thalweg.lab.contenders import Built, Contender
    from thalweg.lab.entries import Reference, TrainingReference
    from thalweg.lab.problem import Problem

_TRAINS = "it trains a model by minibatches, and a surface is neither; race it on a training problem, as mnist_mlp"
LARGEST_MATRIX = 1.0
"""How large, in GiB, a descent's matrix may be in a race, of which several runs go on at once."""


def check_fit(entrant: Contender, reference: Reference) -> None:
    """Refuse an optimizer that cannot step the problem, or whose matrix method would have nothing to step in it.

    Raises `RaceError` where the two do not fit, `ChainError` for a chain that does not compose anywhere.
    """
    why = _refusal(entrant.build(entrant.default), reference)
    if why:
        raise RaceError(f"`{entrant.name}` cannot race on `{reference.name}`: {why}")


def chains_of(built: Chain | Route) -> tuple[Chain, ...]:
    """The chains of a route, or the one that it is."""
    return tuple(chain for _, chain in built.entries) if isinstance(built, Route) else (built,)


def evaluates_apart(optimizer: Optimizer) -> bool:
    """Whether some parameter is to be evaluated where it is not: at an average, or where a schedule-free rule says."""
    return any(traced.evaluation is not None for traced in formulas(optimizer))


def formulas(optimizer: Optimizer) -> Iterator[Trace]:
    """The formulas by which an optimizer's parameters are stepped, of each kind of them in each group."""
    for group in optimizer.param_groups:
        chain = group["chain"]
        yield from chain.traces(kinds(group, chain))


def _refusal(built: Built, reference: Reference) -> str:
    on_surface = isinstance(reference, SurfaceReference)
    if not on_surface:
        built = as_trained(built, problem_of(reference))
    if isinstance(built, Trainer):
        return _TRAINS if on_surface else _refusal_of_trainer(built, problem_of(reference))
    if isinstance(built, Descent | Routine):
        if on_surface:
            asks = "it asks for the outputs that a loss is computed from, and a surface has none"
            return asks if needs_outputs(built) else ""
        return _refusal_of_descent(built, problem_of(reference))
    for chain in chains_of(built):
        if not chain.selects:  # which of its stages meet is told by a model alone
            _ = chain.traces()
    if not isinstance(built, Route) and not built.selects and not built.wholes:
        return ""  # it steps whatever there is
    return _refusal_on_surface(built, len(reference.start)) if on_surface else _refusal_in_training(built, reference)


def _refusal_on_surface(built: Chain | Route, dimension: int) -> str:
    if isinstance(built, Route) or built.selects:
        return "a surface has one vector to step, without role or name; race it on a training problem, as mnist_mlp"
    refusals = (whole.refusal((dimension,), None) for whole in _wholes(built))
    return next((f"a surface has one vector to step, and {refusal}" for refusal in refusals if refusal), "")


def _refusal_in_training(built: Chain | Route, reference: TrainingReference) -> str:
    model = problem_of(reference).build_model(0)
    names = [name for name, _ in model.named_parameters()]
    try:
        for chain in chains_of(built):
            check_patterns(chain, names)
        groups = Optimizer(model, built, backend="reference").param_groups
    except ThalwegError as error:
        return str(error)
    used: list[Whole] = []
    roles: dict[str, None] = {}
    for group in groups:
        chain = group["chain"]
        roles |= dict.fromkeys(group.get("roles", ()))
        used += [whole for kind in kinds(group, chain) if (whole := chain.whole_for(kind)) is not None]
    idle = [whole for chain in chains_of(built) for whole in _wholes(chain) if whole not in used]
    if idle:
        return f"{idle[0]!r} has nothing to step there: the parameters' roles are {', '.join(roles)}"
    return ""


def _refusal_of_trainer(trainer: Trainer, problem: Problem) -> str:
    if trainer.has_matrix and (why := _too_large(_count(problem))):
        return why
    try:
        try_out(trainer, problem, 0, backend="reference")
    except ThalwegError as error:
        return str(error)
    return ""


def _refusal_of_descent(method: Descent | Routine, problem: Problem) -> str:
    count = _count(problem)
    if isinstance(method, Routine):
        if not problem.is_full_batch:
            return (
                "it evaluates the loss of all the training data again and again, and that problem draws minibatches; "
                "race it in full batch, as on mnist_softmax_full_batch"
            )
        if method.bounds == "needed":
            return "it searches between bounds, and parameters have none; race it on a surface"
        values = int(problem.steps / FUNCTION)
        if not method.derivatives and values < count:
            return f"it goes by values alone, and {values:,} of them, its budget, say nothing of {count:,} parameters"
        return ""
    return _too_large(count) if method.direction.has_matrix else ""


def _count(problem: Problem) -> int:
    return sum(parameter.numel() for parameter in problem.build_model(0).parameters() if parameter.requires_grad)


def _too_large(count: int) -> str:
    """Why a matrix of so many rows and columns is too large, if it is."""
    size = 4 * count**2 / 2**30
    if size <= LARGEST_MATRIX:
        return ""
    return (
        f"its matrix of {count:,} × {count:,} parameters takes {size:,.3g} GiB; take a method that keeps none, as "
        "lbfgs or newton_cg"
    )


def _wholes(chain: Chain) -> Iterator[Whole]:
    return (stage for stage in chain.stages if isinstance(stage, Whole))
