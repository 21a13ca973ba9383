"""Every operation × every case of its definition, checked by every rule it has.

Nothing here names an operation: the tests grow out of `family.PRIMITIVES`. A new operation brings
its `cases`, and each of them becomes one test per rule:

- type: the type rule against the type of the value, with weak Python scalars too;
- forward: the tangent against central differences, extrapolated after Richardson;
- reverse: the dot test Re⟨g, J·t⟩ = Re⟨Jᵀ·g, t⟩;
- second: forward over reverse against differences of the gradient (not where `smooth=False`);
- choice: the gradient through a select, with infinite slopes behind what isn't taken;
- batch: vmap over every choice of operands against a Python loop, and vmap of the gradient;
- symbolic: value and derivative of the SymPy expression against those of the rules;
- irregular: the marks of kinks, jumps and edges are truth values of the right shape.

An operation without cases, or with cases that never reach one of its rules, fails.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sympy

import chainrule as cr
import chainrule.transform.control  # the rules of loops
from chainrule.ir.primitive import Case, Draw, Flat, Linear, Primitive, Undefined
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import family
from chainrule.tracing.trace import apply

Arrays = list[Any]
# Another number draws other operands: CHAINRULE_SEED=1 pytest tests/ops
SEED = int(os.environ.get("CHAINRULE_SEED") or 0)


class Use:
    """One operation in one of its cases, with operands drawn from a seed of its own."""

    def __init__(self, op: Primitive, number: int, case: Case) -> None:
        self.op = op
        self.case = case
        self.params = dict(case.params)
        self.id = f"{op.name}-{number}{_words(case)}"
        self.rng = np.random.default_rng((SEED, zlib.crc32(self.id.encode())))

    def draw(self) -> Arrays:
        return [_plain(a) for a in self.case.sample(self.rng)]

    def varying(self, args: Arrays) -> list[int]:
        """The operands that a derivative is taken with respect to."""
        among = range(len(args))
        if isinstance(self.op.derivative, Linear):
            among = self.op.linear_args(len(args))
        return [k for k in among if _is_float(args[k]) and type(args[k]) not in (float, complex)]

    def function(self, args: Arrays, positions: Sequence[int]) -> Callable[..., tuple[Any, ...]]:
        """The operation as a function of the operands at `positions`; a tuple of outputs."""

        def f(*xs: Any) -> tuple[Any, ...]:
            full = list(args)
            for position, x in zip(positions, xs, strict=True):
                full[position] = x
            out = apply(self.op, *full, **self.params)
            return out if self.op.multiple else (out,)

        return f

    def value(self, args: Arrays) -> tuple[Any, ...]:
        out = self.op.value(*args, **self.params)
        return tuple(out) if self.op.multiple else (out,)


def _words(case: Case) -> str:
    """The case, short enough to read in a list of tests."""
    parts = [f"{a.dtype}{list(a.shape)}" for a in case.args if isinstance(a, Draw)]
    parts += [f"{name}={value}" for name, value in case.params.items()]
    text = case.note or " ".join(parts)
    return f" {text}"[:60].replace("[", "(").replace("]", ")")


def _plain(a: Any) -> Any:
    """Scalars as users have them: np.float64 rather than arrays of rank 0."""
    return a[()] if isinstance(a, np.ndarray) and a.ndim == 0 else a


def _is_float(a: Any) -> bool:
    return type_of(a).dtype.kind in "fc"


USES = [
    Use(op, number, case)
    for op in family.PRIMITIVES.values()
    for number, case in enumerate(op.cases)
]
DIFFERENTIABLE = [
    use
    for use in USES
    if not isinstance(use.op.derivative, (Flat, Undefined)) and use.varying(use.draw())
]


def each(uses: Sequence[Use]) -> Any:
    return pytest.mark.parametrize("use", uses, ids=[use.id for use in uses])


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


# ---- types ---------------------------------------------------------------------------------------


def check_type(use: Use, args: Arrays) -> None:
    outs = use.value(args)
    kinds = use.op.type_rule(*map(type_of, args), **use.params)
    kinds = kinds if use.op.multiple else (kinds,)
    for out, kind in zip(outs, kinds, strict=True):
        actual = type_of(out)
        assert isinstance(kind, ArrayType)
        assert (kind.shape, kind.dtype) == (actual.shape, actual.dtype), [*map(type_of, args)]


@each(USES)
def test_type(use: Use) -> None:
    check_type(use, use.draw())


WEAK = [u for u in USES if u.op.batch is family.elementwise_batch and len(u.case.args) > 1]


@each(WEAK)
def test_type_with_python_scalars(use: Use) -> None:
    args = use.draw()
    for k, a in enumerate(args):
        if np.size(a):
            number = np.ravel(a)[0].item()
            check_type(use, [*args[:k], number, *args[k + 1 :]])


# ---- first derivatives ---------------------------------------------------------------------------


def directions(use: Use, xs: Sequence[Any]) -> Arrays:
    """A random tangent per value, of its shape and dtype."""
    return [_direction(use.rng, x) for x in xs]


def _direction(rng: np.random.Generator, x: Any) -> Any:
    t = rng.normal(size=np.shape(x))
    if type_of(x).dtype.kind == "c":
        t = t + 1j * rng.normal(size=np.shape(x))
    return np.asarray(t, type_of(x).dtype)[()]


def _double(x: Any) -> Any:
    """The same operand in double precision, for differences worth comparing with."""
    kind = type_of(x).dtype
    if type(x) in (int, float, complex, bool) or kind.kind not in "fc":
        return x
    return np.asarray(x, "c16" if kind.kind == "c" else "f8")[()]


def differences(f: Callable[..., Any], xs: Arrays, ts: Arrays, h: float) -> Arrays:
    """The derivative of f's outputs along ts: central differences, extrapolated once."""

    def central(step: float) -> Arrays:
        ahead = f(*[x + step * t for x, t in zip(xs, ts, strict=True)])
        behind = f(*[x - step * t for x, t in zip(xs, ts, strict=True)])
        return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]

    return [(4 * a - b) / 3 for a, b in zip(central(h), central(2 * h), strict=True)]


def step(use: Use) -> float:
    """Shorter where a kink may lie within reach."""
    return 1e-4 if use.op.irregular else 1e-3


def tolerance(kinds: Sequence[ArrayType]) -> dict[str, float]:
    """What to expect of a result in the coarsest of these dtypes."""
    eps = max((np.finfo(k.dtype).eps for k in kinds if k.dtype.kind in "fc"), default=1e-16)
    return {"rtol": max(1e-6, 300 * eps), "atol": max(1e-8, 300 * eps)}


def same(actual: Any, expected: Any, tol: dict[str, float]) -> None:
    np.testing.assert_allclose(actual, expected, **tol)


@each(DIFFERENTIABLE)
def test_forward(use: Use) -> None:
    args = use.draw()
    positions = use.varying(args)
    xs = [args[k] for k in positions]
    ts = directions(use, xs)
    f = use.function(args, positions)
    outs, tangents = cr.jvp(f, xs, ts)
    kinds = [type_of(out) for out in outs]
    for out, expected in zip(outs, use.value(args), strict=True):
        same(out, expected, {"rtol": 1e-12, "atol": 1e-14})
    fine = use.function([_double(a) for a in args], positions)
    doubles = [[_double(v) for v in values] for values in (xs, ts)]
    coarse = any(
        k.dtype.kind in "fc" and k.dtype.itemsize < 8 for k in map(type_of, fine(*doubles[0]))
    )
    reference = differences(fine, *doubles, 1e-2 if coarse else step(use))
    for t, kind, expected in zip(tangents, kinds, reference, strict=True):
        if kind.dtype.kind not in "fc":
            assert not np.any(t)
            continue
        assert type_of(t)[:2] == kind[:2]
        same(t, expected, tolerance([*kinds, *map(type_of, xs)]))


@each(DIFFERENTIABLE)
def test_reverse(use: Use) -> None:
    args = use.draw()
    positions = use.varying(args)
    xs = [args[k] for k in positions]
    ts = directions(use, xs)
    f = use.function(args, positions)
    outs, tangents = cr.jvp(f, xs, ts)
    _, pullback = cr.vjp(f, *xs)
    real = [k for k, out in enumerate(outs) if _is_float(out)]
    gs = [_direction(use.rng, out) if _is_float(out) else np.zeros(np.shape(out)) for out in outs]
    found = pullback(tuple(gs))
    for g, x in zip(found, xs, strict=True):
        assert type_of(g)[:2] == type_of(x)[:2]
    forward = sum(np.vdot(gs[k], tangents[k]).real for k in real)
    backward = sum(np.vdot(g, t).real for g, t in zip(found, ts, strict=True))
    size = sum(np.vdot(abs(gs[k]), abs(tangents[k])) for k in real)
    kinds = [type_of(v) for v in (*outs, *xs) if _is_float(v)]
    eps = max(np.finfo(kind.dtype).eps for kind in kinds)
    assert abs(forward - backward) <= 100 * eps * (1 + size), (forward, backward)


def flat_uses() -> list[Use]:
    return [use for use in USES if isinstance(use.op.derivative, Flat) and use.varying(use.draw())]


@each(flat_uses())
def test_flat(use: Use) -> None:
    """No tangent and no cotangent passes, and the value is NumPy's."""
    args = use.draw()
    positions = use.varying(args)
    xs = [args[k] for k in positions]
    f = use.function(args, positions)
    outs, tangents = cr.jvp(f, xs, directions(use, xs))
    for out, t, expected in zip(outs, tangents, use.value(args), strict=True):
        np.testing.assert_array_equal(out, expected)
        assert not np.any(t)
    _, pullback = cr.vjp(f, *xs)
    for g, x in zip(pullback(tuple(np.ones(np.shape(out)) for out in outs)), xs, strict=True):
        assert np.shape(g) == np.shape(x)
        assert not np.any(g)


# ---- second derivatives --------------------------------------------------------------------------


def gradient_of(use: Use, args: Arrays, positions: list[int], gs: Arrays) -> Callable[..., Any]:
    """The gradient of Re⟨g, f⟩, as a function."""

    def gradient(*xs: Any) -> Any:
        return cr.vjp(use.function(args, positions), *xs)[1](tuple(gs))

    return gradient


def cotangents(use: Use, args: Arrays) -> Arrays:
    outs = use.value(args)
    return [_direction(use.rng, out) if _is_float(out) else np.zeros(np.shape(out)) for out in outs]


SMOOTH = [
    use
    for use in DIFFERENTIABLE
    if use.case.smooth and all(type_of(a).dtype.char not in "feF" for a in use.draw())
]


@each(SMOOTH)
def test_second(use: Use) -> None:
    args = use.draw()
    positions = use.varying(args)
    xs = [args[k] for k in positions]
    ts = directions(use, xs)
    gradient = gradient_of(use, args, positions, cotangents(use, args))
    _, curvature = cr.jvp(gradient, xs, ts)
    reference = differences(gradient, xs, ts, step(use))
    for c, expected in zip(curvature, reference, strict=True):
        same(c, expected, {"rtol": 1e-5, "atol": 1e-7})


# ---- behind a choice -----------------------------------------------------------------------------


def nonzero_doubles(use: Use) -> bool:
    args = use.draw()
    chosen = [np.asarray(args[k]) for k in use.varying(args)]
    return all(x.dtype.char in "dD" and x.all() for x in chosen)


def hidden(x: Any) -> tuple[Any, Callable[[Any], Any], Any]:
    """z, a function with f(z) = x that is vertical at 0, and its slope."""
    flat = np.ravel(x)
    if flat.dtype.kind == "c":
        return flat, lambda z: np.exp(np.log(z)), np.ones(np.shape(x))
    return flat**3, np.cbrt, 1 / (3 * np.square(x))


@each([use for use in DIFFERENTIABLE if nonzero_doubles(use)])
def test_behind_a_choice(use: Use) -> None:
    """A choice of outputs, and infinite slopes before the operation that nothing chosen reads.

    The operands come out of a function with one more entry, at 0 where it is vertical, which is
    left out. Reverse mode has to know which entries count, whatever the operation does to them.
    """
    args = use.draw()
    positions = use.varying(args)
    xs = [args[k] for k in positions]
    f = use.function(args, positions)
    gs = cotangents(use, args)
    taken = [np.asarray(use.rng.random(np.shape(g)) < 0.7) for g in gs]

    def chosen(*zs: Any) -> tuple[Any, ...]:
        parts = [how(z)[: np.size(x)] for (_, how, _), z, x in zip(before, zs, xs, strict=True)]
        outs = f(*[np.reshape(part, np.shape(x)) for part, x in zip(parts, xs, strict=True)])
        return tuple(np.where(c, out, 0) for c, out in zip(taken, outs, strict=True))

    before = [hidden(x) for x in xs]
    found = cr.vjp(chosen, *[np.append(z, 0) for z, _, _ in before])[1](tuple(gs))
    masked = tuple(np.where(c, g, 0) for c, g in zip(taken, gs, strict=True))
    plain = cr.vjp(f, *xs)[1](masked)
    for slope, expected, (_, _, rate) in zip(found, plain, before, strict=True):
        same(slope[:-1], np.ravel(expected * rate), {"rtol": 1e-9, "atol": 1e-11})
        assert slope[-1] == 0


# ---- batches -------------------------------------------------------------------------------------

SIZE = 2


def choices(args: Arrays) -> list[tuple[int, ...]]:
    """Which operands carry the batch: every choice, or singles and all where there are many."""
    arrays = [k for k, a in enumerate(args) if isinstance(a, (np.ndarray, np.generic))]
    if len(arrays) <= 3:
        return [c for n in range(1, len(arrays) + 1) for c in itertools.combinations(arrays, n)]
    return [*((k,) for k in arrays), tuple(arrays)]


def check_batch(f: Callable[..., Any], examples: list[Arrays], batched: Sequence[int]) -> None:
    """vmap of f against a loop over examples that differ in the operands `batched`."""
    shared = examples[0]
    rows = [[row[k] if k in batched else shared[k] for k in range(len(row))] for row in examples]
    stacked = [
        np.stack([row[k] for row in rows]) if k in batched else shared[k]
        for k in range(len(shared))
    ]
    axes = tuple(0 if k in batched else None for k in range(len(shared)))
    outs = cr.vmap(f, in_axes=axes)(*stacked)
    expected = [np.stack(column) for column in zip(*(f(*row) for row in rows), strict=True)]
    for out, want in zip(outs, expected, strict=True):
        assert type_of(out)[:2] == type_of(want)[:2]
        same(out, want, tolerance([type_of(want)]) | {"atol": 1e-12})


@each(USES)
def test_batch(use: Use) -> None:
    examples = [use.draw() for _ in range(SIZE)]
    f = use.function(examples[0], range(len(examples[0])))
    for batched in choices(examples[0]):
        check_batch(f, examples, batched)


@each(DIFFERENTIABLE)
def test_batch_of_gradients(use: Use) -> None:
    args = use.draw()
    positions = use.varying(args)
    gradient = gradient_of(use, args, positions, cotangents(use, args))
    examples = [[draw[k] for k in positions] for draw in (args, use.draw())]
    check_batch(gradient, examples, range(len(positions)))


# ---- symbols -------------------------------------------------------------------------------------

_LARGEST = 12


def symbolic_uses() -> list[Use]:
    """Cases in real numbers, small enough for SymPy; of elementwise operations the scalar ones."""
    chosen = []
    for use in USES:
        args = use.draw()
        if use.op.symbolic is None or not use.varying(args):
            continue
        sizes = [np.size(args[k]) for k in use.varying(args)]
        small = (
            0 < sum(sizes) <= (len(args) if use.op.batch is family.elementwise_batch else _LARGEST)
        )
        if small and all(type_of(a).dtype.char not in "feFD" for a in args):
            chosen.append(use)
    return chosen


def symbols(name: str, x: Any) -> Any:
    """An object array of symbols, one per entry."""
    made = np.empty(np.shape(x), object)
    for place in np.ndindex(made.shape):
        made[place] = sympy.Symbol("_".join(map(str, (name, *place))), real=True)
    return made[()]


def numbers(expressions: Any, point: dict[Any, float]) -> Any:
    found = [_number(sympy.sympify(e).subs(point)) for e in np.ravel(expressions)]
    return np.array(found).reshape(np.shape(expressions))


def _number(expression: Any) -> complex:
    if expression in (sympy.true, sympy.false):
        return complex(bool(expression))
    return complex(expression.evalf())


@each(symbolic_uses())
def test_symbolic(use: Use) -> None:
    args = use.draw()
    positions = use.varying(args)
    operands = [symbols(f"x{k}", a) if k in positions else a for k, a in enumerate(args)]
    point = {
        s: float(v)
        for k in positions
        for s, v in zip(np.ravel(operands[k]), np.ravel(args[k]), strict=True)
    }
    result = use.op.symbolic(sympy, *operands, **use.params)
    results = result if use.op.multiple else (result,)
    for expressions, value in zip(results, use.value(args), strict=True):
        assert np.shape(expressions) == np.shape(value)
        same(numbers(expressions, point), value, tolerance([type_of(value)]) | {"atol": 1e-12})
    if isinstance(use.op.derivative, Flat):
        return
    xs = [args[k] for k in positions]
    ts = directions(use, xs)
    _, tangents = cr.jvp(use.function(args, positions), xs, ts)
    along = np.concatenate([np.ravel(t) for t in ts])
    for expressions, tangent in zip(results, tangents, strict=True):
        rows = [
            sum(sympy.diff(e, s) * t for s, t in zip(point, along, strict=True))
            for e in np.ravel(expressions)
        ]
        same(numbers(rows, point), np.ravel(tangent), tolerance([type_of(tangent)]))


# ---- where it isn't smooth -----------------------------------------------------------------------

IRREGULAR = [use for use in USES if use.op.irregular]


@each(IRREGULAR)
def test_marks_of_irregular_places(use: Use) -> None:
    """Each is a truth value per entry; and a case that is checked by differences has none."""
    args = use.draw()
    out = use.value(args)
    y = out if use.op.multiple else out[0]
    empty = not any(np.size(args[k]) for k in use.varying(args))
    for irregular in use.op.irregular:
        marks = np.asarray(irregular.where(y, *args, **use.params))
        assert marks.dtype == bool
        if not use.op.multiple:
            assert np.broadcast_shapes(marks.shape, np.shape(y)) == np.shape(y)
        if use in DIFFERENTIABLE and use.case.smooth and not empty:
            assert not marks.any(), irregular.reason


# ---- the cases themselves ------------------------------------------------------------------------


# Their one rule is an error; it's tested where it is raised.
ALWAYS_REFUSE = {"unseen"}


@pytest.mark.parametrize("op", family.PRIMITIVES.values(), ids=str)
def test_has_cases(op: Primitive) -> None:
    """Without cases nothing above would look at an operation."""
    if op.name in ALWAYS_REFUSE:
        assert not op.cases
        return
    uses = [use for use in USES if use.op is op]
    assert uses, f"{op.name} has no cases"
    if not isinstance(op.derivative, (Flat, Undefined)):
        assert any(use in DIFFERENTIABLE for use in uses), f"no case of {op.name} varies"
    if op.symbolic is not None:
        real = (a for use in uses for a in use.draw() if isinstance(a, (np.ndarray, np.generic)))
        assert any(np.size(a) for a in real), f"every case of {op.name} is empty"
