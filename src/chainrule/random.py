"""Seeded random numbers as operations: `cr.random`.

A seed and a shape give an array, the same one every time, on every engine and with any number of
threads. A seed is a whole number, or a key made from one; both may be traced, so that they can be
arguments of a compiled function, carried through loops, split and batched. The numbers are those of
NumPy's own generator, `np.random.Generator(np.random.Philox(key=seed))`, bit for bit.
"""

from chainrule.ops.draw_continuous import (
    bits,
    exponential,
    gumbel,
    normal,
    truncated_normal,
    uniform,
)
from chainrule.ops.draw_discrete import (
    bernoulli,
    categorical,
    choice,
    integers,
    permutation,
)
from chainrule.ops.draw_keys import fold_in, key, split

__all__ = [
    "bernoulli",
    "bits",
    "categorical",
    "choice",
    "exponential",
    "fold_in",
    "gumbel",
    "integers",
    "key",
    "normal",
    "permutation",
    "split",
    "truncated_normal",
    "uniform",
]
