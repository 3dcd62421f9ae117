"""Averages of where the parameter has been: stages behind the step."""

from thalweg.formula import (
    AtParameter,
    Fraction,
    Moved,
    NonNegative,
    Position,
    Positive,
    Step,
    Update,
    equal,
    floor,
    maximum,
    rule,
    where,
)

_EVALUATE = "Evaluate inside `with optimizer.evaluating()`: the parameter itself goes its own way."


@rule(
    title="Exponential moving average",
    source="Polyak and Juditsky 1992, doi:10.1137/0330046; its weights as Tarvainen and Valpola 2017, arXiv:1703.01780",
    beta="0.999, torch.optim.swa_utils.get_ema_multi_avg_fn",
    evaluate=lambda average: average,
    dialect="torch.optim.swa_utils.AveragedModel's: the average begins as the parameter after the first step.",
    when=f"Behind the step, nearly always worth its memory where gradients are noisy. {_EVALUATE}",
)
def ema(p: Moved, average: AtParameter, t: Step, *, beta: Fraction = 0.999) -> Update:
    """Keep a running average of the parameter that forgets."""
    return Position(p), where(equal(t, 1), p, beta * average + (1 - beta) * p)


@rule(
    title="Polyak averaging",
    source="Polyak and Juditsky 1992, doi:10.1137/0330046",
    start="0, the paper's: from the first step on",
    evaluate=lambda average: average,
    when=f"Behind gradient descent with a rate that stays or falls slowly, on convex problems. {_EVALUATE}",
)
def polyak(p: Moved, average: AtParameter, t: Step, *, start: NonNegative = 0) -> Update:
    """Keep the plain average of the parameter over all steps after `start`; until then it is the parameter."""
    return Position(p), where(t > start, average + (p - average) / maximum(t - start, 1), p)


@rule(
    title="Stochastic weight averaging",
    source="Izmailov et al. 2018, arXiv:1803.05407, Algorithm 1",
    start="0: give it the step at which the training as usual ends, three quarters of the whole in the paper",
    every="1: give it the steps of an epoch, or of a cycle of the rate; the paper's c",
    evaluate=lambda average: average,
    dialect="The paper's; the batch norms' statistics are to be computed anew for the average, by "
    "torch.optim.swa_utils.update_bn.",
    when=f"Behind the step, with a high constant or cyclic rate at the end of a training. {_EVALUATE}",
)
def swa(p: Moved, average: AtParameter, t: Step, *, start: NonNegative = 0, every: Positive = 1) -> Update:
    """Average the parameter as it is after `start` steps and every so many steps from then on."""
    count = maximum(t - start, 0) / every
    averaged = average + (p - average) / (count + 1)
    return Position(p), where(t <= start, p, where(equal(count, floor(count)), averaged, average))


@rule(
    title="Lookahead",
    source="Zhang et al. 2019, arXiv:1907.08610, Algorithm 1",
    alpha="0.5, Zhang et al. 2019, section 5",
    every="5, Zhang et al. 2019, section 5; the paper's k",
    evaluate=lambda slow: slow,
    dialect="The paper's: the rule's own states are kept as they are.",
    when="Behind the step of any rule, for steadier training with rates that are a little too large.",
)
def lookahead(p: Moved, slow: AtParameter, t: Step, *, alpha: Fraction = 0.5, every: Positive = 5) -> Update:
    """Every so many steps go back to a share of the way, and start again from there."""
    turn = t / every
    slow = where(equal(turn, floor(turn)), slow + alpha * (p - slow), slow)
    return Position(where(equal(turn, floor(turn)), slow, p)), slow
