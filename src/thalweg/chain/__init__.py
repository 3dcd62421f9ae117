"""The grammar: stages, and how they compose."""

from thalweg.chain.averages import ema, lookahead, polyak, swa
from thalweg.chain.chain import LEARNING_RATE, Chain, Kind, Step, chain, step
from thalweg.chain.clip import clip, clip_value
from thalweg.chain.decay import decay, decoupled_decay
from thalweg.chain.rounding import kahan
from thalweg.chain.variants import cautious, mars
from thalweg.formula import Rule


def stages() -> dict[str, Rule]:
    """Every stage that is no rule of the catalogue, by its name: what stands before or behind one."""
    return {
        rule.name: rule
        for rule in (clip, clip_value, mars, decay, cautious, decoupled_decay, ema, polyak, swa, lookahead, kahan)
    }


__all__ = [
    "LEARNING_RATE",
    "Chain",
    "Kind",
    "Step",
    "cautious",
    "chain",
    "clip",
    "clip_value",
    "decay",
    "decoupled_decay",
    "ema",
    "kahan",
    "lookahead",
    "mars",
    "polyak",
    "stages",
    "step",
    "swa",
]
