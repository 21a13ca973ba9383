"""The primitive: everything the system knows about one operation, in one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.ir.bound import Bound

Rule = Callable[..., Any]


# ---- the closed set of derivatives ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Partials:
    """Elementwise: one partial derivative per operand, each `d(y, *xs, **params)` or a number.

    A partial that is a plain number is constant. Both modes follow: t_y = Σ dᵢ·tᵢ, gᵢ = g·dᵢ.
    """

    rules: tuple[Rule | float, ...]

    def __init__(self, *rules: Rule | float) -> None:
        object.__setattr__(self, "rules", rules)

    @cached_property
    def reads(self) -> tuple[int, ...]:
        """Per partial a bit mask of what it reads: bit 0 the output, bit k+1 operand k."""
        return tuple(_reads(rule, len(self.rules)) for rule in self.rules)


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear jointly in the operands `args`: the tangent map is the operation itself.

    `transpose(g, *operands, **params)` gets the type of each linear operand and the value of every
    other one. It returns one cotangent, or a tuple of them when `args` names several.

    `selects` says that some entries of an operand may not reach the output at all, so that an
    infinite derivative behind them must not count; `whole(*others, **params)`, that all of them do
    if the result has the operand's shape. `parts` says that there are two operands and each entry
    of the result is that entry of one of them, once both have its shape. `gather` adds many
    transposes of one operand at once: `gather(type, [(g, operands, params), …])`. `args=None`
    means every operand.
    """

    transpose: Rule
    args: tuple[int, ...] | None = (0,)
    selects: bool = False
    gather: Rule | None = None
    parts: bool = False
    whole: Rule | None = None


@dataclass(frozen=True, eq=False)
class Multilinear:
    """Linear in each operand separately; `tᵢ(g, *operands, **params)` is its transpose in i.

    Operand i arrives as its type, the others as values. `unit(i, *operands, **params)` may say what
    comes out for all unit vectors in place of a one-dimensional operand i: their number first. None
    where it doesn't know.
    """

    transposes: tuple[Rule, ...]
    unit: Rule | None = None

    def __init__(self, *transposes: Rule, unit: Rule | None = None) -> None:
        object.__setattr__(self, "transposes", transposes)
        object.__setattr__(self, "unit", unit)


@dataclass(frozen=True, eq=False)
class Custom:
    """The tangent map, written out: `forward(tangents, y, *xs, **params)` → tangent of y.

    `tangents` holds None for an operand that does not vary. Reverse mode transposes this very
    map unless `reverse(g, y, *xs, **params)` → one cotangent or None per operand is given.
    With several outputs y, g and the result are tuples. `output` says whether a rule reads y, so
    that it's kept. `selects`, with a `reverse`, as for `Linear`: what was taken follows from the
    selects in the forward map, should anybody ask.

    For programs inside an equation (loops), which would otherwise run twice:
    `together(tangents, *xs, **params)` → (y, tangent of y) at once; `linearise(varies, *xs,
    **params)` → (y, op, residuals, params), where the tape is to hold `op`, whose operands are the
    varying ones followed by the residuals. `masked(gs, masks, y, *xs, **params)` → per operand its
    cotangent and the mask of what was taken, where the entries of g were taken as `masks` say;
    `chooses(**params)` → whether something may not be taken even where all of g is. With `asks`,
    `reverse` and `masked` are told by `wanted` which operands cotangents are wanted for.
    `late`: the rule computes again on purpose.
    """

    forward: Rule
    reverse: Rule | None = None
    output: bool = True
    selects: bool = False
    together: Rule | None = None
    linearise: Rule | None = None
    masked: Rule | None = None
    chooses: Rule | None = None
    asks: bool = False
    late: bool = False


@dataclass(frozen=True, eq=False)
class Flat:
    """Zero almost everywhere: signs, roundings, comparisons, positions."""


@dataclass(frozen=True, eq=False)
class Undefined:
    """No derivative; asking for one raises, with this reason."""

    reason: str


Derivative = Partials | Linear | Multilinear | Custom | Flat | Undefined


# ---- how an operation becomes loops --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scalar:
    """Entry by entry: `rule(s, *xs, **params)` on scalar expressions, `s` holding their operations.

    Operands are converted first: to the type of the result, to what NumPy promotes them to
    ("common", for comparisons), or not at all (None).
    """

    rule: Rule
    cast: str | None = "result"


# ---- test cases, and where an operation is not smooth --------------------------------------------


@dataclass(frozen=True)
class Draw:
    """An operand to be drawn for a test: uniform in [low, high), of this shape and dtype."""

    shape: tuple[int, ...] = ()
    low: float = -2.0
    high: float = 2.0
    dtype: str = "f8"

    def sample(self, rng: np.random.Generator) -> Any:
        """One such array; integers and booleans are drawn from the same interval."""
        kind = np.dtype(self.dtype).kind
        if kind in "iu":
            return rng.integers(int(self.low), int(self.high), self.shape).astype(self.dtype)
        if kind == "b":
            return np.asarray(rng.random(self.shape) < 0.5)
        value = rng.uniform(self.low, self.high, self.shape)
        if kind == "c":
            value = value + 1j * rng.uniform(self.low, self.high, self.shape)
        return np.asarray(value, self.dtype)


@dataclass(frozen=True)
class Case:
    """One use of an operation that the generated tests check by every rule it has."""

    args: tuple[Any, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    smooth: bool = True

    def sample(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """The operands: draws are drawn, everything else stands for itself."""
        return tuple(a.sample(rng) if isinstance(a, Draw) else a for a in self.args)


@dataclass(frozen=True)
class Irregular:
    """A place where the derivative is special: `where(y, *xs, **params)` marks the entries there.

    kind: "kink" (left and right derivative differ), "jump", "infinite" (derivative is infinite),
    "domain" (the real function does not exist), "flat" (zero wherever it exists).
    """

    kind: str
    where: Rule
    reason: str


# ---- the record ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Primitive:
    """One operation: a missing rule is an explicit None, and shows in docs/operations.md.

    Args:
        name: the field's own name, unique.
        type_rule: `(*types, **params)` → ArrayType, or a tuple of them.
        value: `(*arrays, **params)` → array, in NumPy: the definition of truth.
        derivative: one of the closed set above.
        batch: `(op, size, args, batched, **params)` → the result with the batch along axis 0;
            `args` with `batched[i]` carry it along axis 0. None: a loop over the batch.
        symbolic: `(sympy, *object_arrays, **params)` → object array of expressions.
        lower: how it becomes loops: `Scalar`, or `(builder, type of the result, *values,
            **params)` → value (see loops/value.py). None: the NumPy engine runs it.
        bound: how far what it's lowered to may lie from the true result (see ir/bound.py).
        cases: what the generated tests run.
        view: `(shape of the result, **params)` → whether it may share operand 0's memory, as
            NumPy's own result does. None: never.
        multiple: value, type and derivative speak of a tuple of outputs.
        weak: Python numbers in, Python number out, as Python's own operators do.
        irregular: where the derivative is special.
    """

    name: str
    type_rule: Rule
    value: Rule
    derivative: Derivative
    batch: Rule | None
    symbolic: Rule | None
    lower: Scalar | Rule | None
    cases: tuple[Case, ...]
    bound: Bound | None = None
    view: Rule | None = None
    multiple: bool = False
    weak: bool = False
    irregular: tuple[Irregular, ...] = ()

    @cached_property
    def flat(self) -> bool:
        return isinstance(self.derivative, Flat)

    @cached_property
    def plans(self) -> dict[int, tuple[bool, tuple[int, ...], tuple[int, ...]]]:
        """What `plan` has worked out so far."""
        return {}

    def plan(self, traced: int) -> tuple[bool, tuple[int, ...], tuple[int, ...]]:
        """For partials, with bit k of `traced` set where operand k varies: what rules will read.

        Returns whether the output is read, the operands that nobody reads, and those that are.
        """
        known = self.plans.get(traced)
        if known is None:
            assert isinstance(self.derivative, Partials)
            needs = 0
            for k, reads in enumerate(self.derivative.reads):
                if traced >> k & 1:
                    needs |= reads
            count = len(self.derivative.rules)
            read = tuple(k for k in range(count) if needs & (2 << k))
            unread = tuple(k for k in range(count) if not needs & (2 << k))
            known = self.plans[traced] = (bool(needs & 1), unread, read)
        return known

    def linear_args(self, count: int) -> tuple[int, ...]:
        """The operands in which the operation is linear, of `count` in all."""
        args = self.derivative.args if isinstance(self.derivative, Linear) else ()
        return tuple(range(count)) if args is None else args

    def __repr__(self) -> str:
        return self.name


class _Probe:
    """Stands for an operand while a partial is run; anything asked of it gives itself away."""

    __array_ufunc__ = None

    def __init__(self) -> None:
        self.touched = False

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self.touched = True
        raise _Touched


class _Touched(Exception):
    """A probe was used."""


def _touch(self: _Probe, *args: Any) -> Any:
    self.touched = True
    raise _Touched


for _name in (
    "add radd sub rsub mul rmul truediv rtruediv pow rpow mod rmod neg pos abs matmul rmatmul "
    "lt le gt ge eq ne and rand or ror xor rxor invert bool float complex int index getitem array"
).split():
    setattr(_Probe, f"__{_name}__", _touch)


def _reads(rule: Rule | float, operands: int) -> int:
    """Run a partial with one poisoned value at a time; what trips is what it reads."""
    if not callable(rule):
        return 0
    mask = 0
    for position in range(operands + 1):
        probe = _Probe()
        values: list[Any] = [np.float64(0.5)] * (operands + 1)
        values[position] = probe
        try:
            # A rule may also take parameters; those that need one read everything (see below).
            result = rule(*values)
        except Exception:  # any failure at all means: assume that it was read
            mask |= 1 << position
            continue
        if result is probe or probe.touched:
            mask |= 1 << position
    return mask
