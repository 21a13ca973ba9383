"""What cr.random refuses, in which words."""

import inspect

import numpy as np
import pytest

import chainrule as cr
from chainrule import random

WHOLE = """a seed is a whole number, or a key made by cr.random.key
  given: {}
  where: HERE
  fix:   any number from 0 on will do, such as 0; the same one gives the same numbers"""
NEGATIVE = """{} can't be negative
  given: {}
  where: HERE
  fix:   count from 0; abs(n) would give n and -n the same numbers"""
KEY = """a key is an array of two words, u64[2]
  given: {}
  where: HERE
  fix:   {}"""
MAKE = "make keys with cr.random.key(seed) and cr.random.split(key, n)"
STATIC = """keep every entry and choose with np.where(condition, a, b);
         or name the argument in static_argnums of cr.jit"""

CASES = [
    (lambda: random.normal(-1), cr.DomainError, NEGATIVE.format("a seed", -1)),
    (lambda: cr.jit(random.normal)(-1), cr.DomainError, NEGATIVE.format("a seed", -1)),
    (lambda: random.normal(0.5), cr.DtypeError, WHOLE.format("0.5")),
    (lambda: random.normal("a"), cr.DtypeError, WHOLE.format("'a'")),
    (lambda: random.normal(None), cr.DtypeError, WHOLE.format("None")),
    (lambda: cr.jit(random.normal)(1.0), cr.DtypeError, """\
a seed is a whole number, or a key made by cr.random.key
  given: f64
  where: HERE
  fix:   make it whole with x.astype(int)"""),
    (lambda: random.normal(True), cr.DtypeError, """\
a seed is a whole number, not a truth value
  where: HERE
  fix:   use 0 or 1"""),
    (lambda: random.key(2**128), cr.DomainError, """\
a seed has at most 128 bits
  given: 0x100000000000000000000000000000000
  where: HERE
  fix:   use seed % 2**128"""),
    (lambda: random.bits(np.zeros(3, np.uint64)), cr.ShapeError, KEY.format("u64[3]", MAKE)),
    (lambda: random.bits(np.array([1, 2])), cr.ShapeError, KEY.format("i64[2]", MAKE)),
    (lambda: random.bits(random.split(0)), cr.ShapeError,
     KEY.format("u64[2, 2]", "cr.vmap draws with many keys at once")),
    (lambda: random.fold_in(0, -3), cr.DomainError,
     NEGATIVE.format("what is folded into a key", -3)),
    (lambda: cr.jit(random.fold_in)(0, -3), cr.DomainError,
     NEGATIVE.format("what is folded into a key", -3)),
    (lambda: random.fold_in(0, 2**64), cr.DomainError, """\
fold_in: a number beyond 64 bits
  given: 18446744073709551616
  where: HERE
  fix:   fold in its parts, one after the other"""),
    (lambda: random.fold_in(0, 1.5), cr.DtypeError, """\
fold_in: what is folded into a key is one whole number
  given: f64
  where: HERE
  fix:   fold in several one after the other; make floats whole with x.astype(int)"""),
    (lambda: cr.jit(lambda n: random.normal(0, n))(3), cr.UnsupportedError, f"""\
normal: a shape must be known while tracing, for shapes depend on it
  given: Traced<i64>
  where: HERE
  fix:   {STATIC}"""),
    (lambda: cr.jit(lambda n: random.uniform(0, (2, n)))(3), cr.UnsupportedError, f"""\
uniform: a number of entries must be known while tracing, for shapes depend on it
  given: Traced<i64>
  where: HERE
  fix:   {STATIC}"""),
    (lambda: random.normal(0, 2.5), cr.DtypeError, """\
normal: a number of entries is a whole number
  given: 2.5
  where: HERE
  fix:   use int(n)"""),
    (lambda: random.normal(0, (2, -1)), cr.ArgumentError, """\
normal: a negative number of entries
  given: -1
  where: HERE
  fix:   use 0 or more"""),
    (lambda: random.uniform(0, 3, 2.0, 1.0), cr.DomainError, """\
uniform: low is larger than high
  low:   2.0
  high:  1.0
  where: HERE
  fix:   exchange them"""),
    (lambda: random.normal(0, 3, 0.0, -1.0), cr.DomainError, """\
normal: scale is negative
  scale: -1.0
  where: HERE
  fix:   use abs(scale), or its square root if it is a variance"""),
    (lambda: random.normal(0, 3, np.zeros(2)), cr.ShapeError, """\
normal: loc doesn't broadcast to the shape that is drawn
  loc:   (2,)
  shape: (3,)
  where: HERE
  fix:   draw a shape that ends with that of loc"""),
    (lambda: random.gumbel(0, 3, 1j), cr.DtypeError, """\
gumbel: loc is a real number
  loc:   c128
  where: HERE
  fix:   take np.real(x)"""),
    (lambda: random.exponential(0, 3, dtype=np.float16), cr.DtypeError, """\
exponential: numbers are drawn in float64 or float32
  dtype: float16
  where: HERE
  fix:   draw them in float32 and convert with .astype(dtype)"""),
    (lambda: random.normal(0, 3, dtype="short"), cr.DtypeError, """\
normal: numbers are drawn in float64 or float32
  dtype: int16
  where: HERE
  fix:   draw them in float32 and convert with .astype(dtype)"""),
    (lambda: random.normal(0, 3, dtype="single float"), cr.DtypeError, """\
normal: there is no such dtype
  dtype: 'single float'
  where: HERE
  fix:   use np.float32 or np.int64"""),
    (lambda: random.bits(0, 3, np.int64), cr.DtypeError, """\
bits: they come as uint64 or uint32
  dtype: int64
  where: HERE
  fix:   convert them with .astype"""),
    (lambda: random.bernoulli(0, 1.5), cr.DomainError, """\
bernoulli: a probability lies between 0 and 1
  p:     1.5
  where: HERE
  fix:   make any number one with 1 / (1 + np.exp(-p)), if it is a logit"""),
    (lambda: random.integers(0, 3, 3), cr.DomainError, """\
integers: there is no whole number from low to high − 1
  low:   3
  high:  3
  where: HERE
  fix:   high itself is left out: make it larger than low"""),
    (lambda: random.integers(0, 3.5), cr.DtypeError, """\
integers: low and high are whole numbers
  given: 3.5
  where: HERE
  fix:   use int(n); np.floor(cr.random.uniform(seed, shape, low, high)) takes arrays"""),
    (lambda: cr.jit(lambda n: random.integers(0, n))(3), cr.UnsupportedError, """\
integers: low and high must be known while tracing
  given: Traced<i64>
  where: HERE
  fix:   np.floor(cr.random.uniform(seed, shape, low, high)) takes traced ones;
         or name the argument in static_argnums of cr.jit"""),
    (lambda: random.integers(0, 300, dtype=np.uint8), cr.DtypeError, """\
integers: this type doesn't hold all of them
  dtype: uint8
  low:   0
  high:  300
  where: HERE
  fix:   take a wider dtype"""),
    (lambda: random.integers(0, 3, dtype=float), cr.DtypeError, """\
integers: a type of whole numbers
  dtype: float64
  where: HERE
  fix:   use dtype=np.int64"""),
    (lambda: random.choice(0, 3, 5, replace=False), cr.DomainError, """\
choice: more entries than there are, without replacement
  entries: 3
  wanted:  5
  where:   HERE
  fix:     use replace=True"""),
    (lambda: random.choice(0, [], 2), cr.DomainError, """\
choice: there is nothing to pick from
  a:     f64[0]
  where: HERE
  fix:   give entries"""),
    (lambda: random.choice(0, 3, p=[0.5, 0.5]), cr.ShapeError, """\
choice: one probability for each entry
  entries: 3
  p:       f64[2]
  where:   HERE
  fix:     p is one row of numbers that add up to 1"""),
    (lambda: random.choice(0, 2, p=[0.5, 0.25]), cr.DomainError, """\
choice: probabilities are not negative and add up to 1
  least: 0.25
  sum:   0.75
  where: HERE
  fix:   divide by the sum: p / np.sum(p)"""),
    (lambda: random.choice(0, 2, 2, False, [0.5, 0.5]), cr.UnsupportedError, """\
choice: p without replacement isn't supported
  where: HERE
  fix:   they are where np.log(p) + cr.random.gumbel(seed, n) is largest:
         np.argsort(-(...))[:count]"""),
    (lambda: random.categorical(0, 1.0), cr.ShapeError, """\
categorical: one logit for each thing
  logits: f64
  where:  HERE
  fix:    give a row"""),
    (lambda: random.categorical(0, np.zeros((2, 3)), shape=3), cr.ShapeError, """\
categorical: the shape ends with that of the logits without their axis
  shape:  (3,)
  logits: (2,)
  where:  HERE
  fix:    draw n for each with shape=(n, 2)"""),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)))
def test_refused(case):
    f, kind, text = CASES[case]
    with pytest.raises(kind) as caught:
        f()
    here = f"{__file__.rpartition('/')[2]}:{inspect.getsourcelines(f)[1]} in <lambda>"
    assert str(caught.value) == text.replace("HERE", here)


def test_bad_values_of_compiled_code_in_loops():
    step = lambda key, n: (random.fold_in(key, n), None)
    walk = cr.jit(lambda ns: cr.scan(step, random.key(0), ns)[0])
    walk(np.arange(3))
    for _ in range(2):
        with pytest.raises(cr.DomainError, match="can't be negative"):
            walk(np.array([1, -1, 2]))
