"""The grammar: stages, and how they compose."""

from thalweg.chain.chain import LEARNING_RATE, Chain, Kind, Step, chain, step
from thalweg.chain.clip import clip, clip_value
from thalweg.chain.decay import decay

__all__ = ["LEARNING_RATE", "Chain", "Kind", "Step", "chain", "clip", "clip_value", "decay", "step"]
