"""Parameters that lie on several processes (torch's DTensors): their parts are stepped, and sums go over all parts."""

from thalweg.optimizer.sharding.agreement import Agreement
from thalweg.optimizer.sharding.exchange import Exchange
from thalweg.optimizer.sharding.parts_binding import PartsBinding
from thalweg.optimizer.sharding.shard import Shard, is_cut, is_spread, part_of

__all__ = ["Agreement", "Exchange", "PartsBinding", "Shard", "is_cut", "is_spread", "part_of"]
