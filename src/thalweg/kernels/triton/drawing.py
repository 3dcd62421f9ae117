"""Random numbers, and rounding by them, as Triton's functions: see `thalweg.kernels.noise`, bit for bit.

Triton has a Philox of its own, with these numbers, but its interpreter can call no function of Triton's library from a
kernel that is not interpreted throughout.
"""

from thalweg.kernels.noise import BLOCK, LANES, MULTIPLIERS, ROUNDS, WEYL

PHILOX = f'''\
@jit
def philox(place, seed_low, seed_high, step_low, step_high, key):
    """Four words of 32 random bits for each place, of seed and step in two words each and of a tensor's key."""
    seed = seed_low.to(tl.int64) + seed_high.to(tl.int64) * {2**24}
    step = step_low.to(tl.int64) + step_high.to(tl.int64) * {2**24}
    c0, c1 = place.to(tl.uint32), (place >> 32).to(tl.uint32)
    c2, c3 = step.to(tl.uint32), key.to(tl.uint32)
    k0, k1 = seed.to(tl.uint32), (seed >> 32).to(tl.uint32)
    a, b = tl.full((), {MULTIPLIERS[0]}, tl.uint32), tl.full((), {MULTIPLIERS[1]}, tl.uint32)
    for _ in tl.static_range({ROUNDS}):
        first, second = c0, c2
        c0, c2 = tl.umulhi(b, second) ^ c1 ^ k0, tl.umulhi(a, first) ^ c3 ^ k1
        c1, c3 = b * second, a * first
        k0, k1 = k0 + {WEYL[0]}, k1 + {WEYL[1]}
    return c0, c1, c2, c3


@jit
def fraction(word):
    """A number in [0, 1)."""
    return (word >> 8).to(tl.int32).to(tl.float32) * {2.0**-24}
'''
UNIFORM_IN_BLOCKS = f'''\
@jit
def uniform(seed_low, seed_high, step_low, step_high, key, block, BLOCKS: tl.constexpr):
    """A number in [0, 1) for each element of some blocks in a row: each counter's words are {LANES} elements apart."""
    place = block * {LANES} + tl.arange(0, {LANES} * BLOCKS)
    w0, w1, w2, w3 = philox(place, seed_low, seed_high, step_low, step_high, key)
    words = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (BLOCKS, {LANES}, {BLOCK // LANES}))
    return fraction(tl.reshape(tl.permute(words, (0, 2, 1)), ({BLOCK} * BLOCKS,)))
'''
UNIFORM_AT = f'''\
@jit
def uniform_at(seed_low, seed_high, step_low, step_high, key, at):
    """The same for elements anywhere."""
    inside = at % {BLOCK}
    place = at // {BLOCK} * {LANES} + inside % {LANES}
    w0, w1, w2, w3 = philox(place, seed_low, seed_high, step_low, step_high, key)
    low = tl.where(inside < {LANES}, w0, w1)
    return fraction(tl.where(inside < {2 * LANES}, low, tl.where(inside < {3 * LANES}, w2, w3)))
'''
CUT = '''\
@jit
def cut(x, u, DROPPED: tl.constexpr):
    """A number without so many of its lower bits, or the next one up in size where u is below what that would take."""
    bits = x.to(tl.int32, bitcast=True)
    step: tl.constexpr = 1 << DROPPED
    taken = (bits & (step - 1)).to(tl.float32) * (1.0 / step)
    kept = (bits & -step) + tl.where(u < taken, step, 0)
    return tl.where(x != x, x, kept.to(tl.float32, bitcast=True))
'''
DITHERED_BFLOAT16 = """\
@jit
def dithered_bfloat16(x, u):
    return cut(x, u, 16)
"""
DITHERED_FLOAT16 = '''\
@jit
def dithered_float16(x, u):
    """Below 2⁻¹⁴, float16 has the multiples of 2⁻²⁴."""
    is_small = tl.abs(x) < 2.0**-14
    scaled = tl.where(is_small, tl.abs(x), 0.0) * 2.0**24
    below = scaled.to(tl.int32).to(tl.float32)
    size = (below + tl.where(u < scaled - below, 1.0, 0.0)) * 2.0**-24
    sign = x.to(tl.int32, bitcast=True) & -2147483648
    small = (size.to(tl.int32, bitcast=True) | sign).to(tl.float32, bitcast=True)
    return tl.where(is_small, small, cut(x, u, 13))
'''
