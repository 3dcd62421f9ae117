"""The grammar: stages, and how they compose."""

from thalweg.chain.chain import LEARNING_RATE, Chain, Step, chain, step
from thalweg.chain.clip import clip_value
from thalweg.chain.decay import decay

__all__ = ["LEARNING_RATE", "Chain", "Step", "chain", "clip_value", "decay", "step"]
