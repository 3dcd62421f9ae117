"""The catalogue: every update rule, one formula a file."""

from thalweg.errors import UnknownNameError, did_you_mean
from thalweg.formula import Rule
from thalweg.rules.adabelief import adabelief
from thalweg.rules.adadelta import adadelta
from thalweg.rules.adafactor import adafactor
from thalweg.rules.adagrad import adagrad
from thalweg.rules.adam import adam
from thalweg.rules.adamax import adamax
from thalweg.rules.adamw import adamw
from thalweg.rules.adan import adan
from thalweg.rules.ademamix import ademamix
from thalweg.rules.adopt import adopt
from thalweg.rules.asgd import asgd
from thalweg.rules.d_adaptation import d_adapt_adam, d_adapt_sgd
from thalweg.rules.delta_bar_delta import delta_bar_delta
from thalweg.rules.dog import dog, ldog
from thalweg.rules.esgd import esgd
from thalweg.rules.gradient_descent import gradient_descent
from thalweg.rules.heavy_ball import heavy_ball
from thalweg.rules.heavy_ball_two_sequences import heavy_ball_two_sequences
from thalweg.rules.lamb import lamb
from thalweg.rules.lars import lars
from thalweg.rules.lion import lion
from thalweg.rules.nadam import nadam
from thalweg.rules.nesterov import nesterov
from thalweg.rules.nesterov_acceleration import nesterov_acceleration
from thalweg.rules.normalised_descent import normalised_descent
from thalweg.rules.prodigy import prodigy
from thalweg.rules.qhadam import qhadam
from thalweg.rules.qhm import qhm
from thalweg.rules.radam import radam
from thalweg.rules.rmsprop import rmsprop
from thalweg.rules.rmsprop_momentum import rmsprop_momentum
from thalweg.rules.rprop import rprop
from thalweg.rules.schedule_free import schedule_free_adamw, schedule_free_sgd
from thalweg.rules.sign_descent import sign_descent
from thalweg.rules.signum import signum
from thalweg.rules.sophia import sophia
from thalweg.rules.vsgd import vsgd
from thalweg.rules.yogi import yogi

_RULES = (
    gradient_descent,
    normalised_descent,
    sign_descent,
    signum,
    lion,
    asgd,
    heavy_ball,
    heavy_ball_two_sequences,
    nesterov,
    nesterov_acceleration,
    qhm,
    rprop,
    delta_bar_delta,
    adagrad,
    rmsprop,
    rmsprop_momentum,
    adadelta,
    adam,
    adamax,
    adamw,
    nadam,
    radam,
    qhadam,
    adabelief,
    yogi,
    adan,
    ademamix,
    adopt,
    adafactor,
    lars,
    lamb,
    dog,
    ldog,
    d_adapt_sgd,
    d_adapt_adam,
    prodigy,
    schedule_free_sgd,
    schedule_free_adamw,
    vsgd,
    esgd,
    sophia,
)


def catalogue() -> dict[str, Rule]:
    """Every rule by its name, from the plainest on."""
    return {rule.name: rule for rule in _RULES}


def get(name: str) -> Rule:
    """The rule of that name. Raises `UnknownNameError`, with the nearest names, if there is none."""
    rules = catalogue()
    if name not in rules:
        message = f"there is no rule `{name}`; {did_you_mean(name, rules)}"
        raise UnknownNameError(message)
    return rules[name]


__all__ = [
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "asgd",
    "catalogue",
    "d_adapt_adam",
    "d_adapt_sgd",
    "delta_bar_delta",
    "dog",
    "esgd",
    "get",
    "gradient_descent",
    "heavy_ball",
    "heavy_ball_two_sequences",
    "lamb",
    "lars",
    "ldog",
    "lion",
    "nadam",
    "nesterov",
    "nesterov_acceleration",
    "normalised_descent",
    "prodigy",
    "qhadam",
    "qhm",
    "radam",
    "rmsprop",
    "rmsprop_momentum",
    "rprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sign_descent",
    "signum",
    "sophia",
    "vsgd",
    "yogi",
]
