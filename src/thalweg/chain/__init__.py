"""The grammar: stages, and how they compose."""

from thalweg.chain.averages import ema, lookahead, polyak, swa
from thalweg.chain.chain import LEARNING_RATE, Chain, Kind, Step, chain, step
from thalweg.chain.clip import clip, clip_value
from thalweg.chain.decay import decay
from thalweg.chain.variants import cautious, mars

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
    "ema",
    "lookahead",
    "mars",
    "polyak",
    "step",
    "swa",
]
