"""Parameters that lie on several processes (torch's DTensors): their parts are stepped, and sums go over all parts."""

from thalweg.optimizer.sharding.agreement import Agreement
from thalweg.optimizer.sharding.exchange import Exchange
from thalweg.optimizer.sharding.shard import Shard, is_cut, is_spread, part_of
from thalweg.optimizer.sharding.shards_binding import ShardsBinding
from thalweg.optimizer.sharding.stacks import apart, check_stackable, together

__all__ = [
    "Agreement",
    "Exchange",
    "Shard",
    "ShardsBinding",
    "apart",
    "check_stackable",
    "is_cut",
    "is_spread",
    "part_of",
    "together",
]
