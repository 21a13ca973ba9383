"""Control flow as operations: `cond`, `while`, `scan`, and the reverse of `while`.

Their parameters hold *closed* programs: no captured arrays, every input a variable. What a body saw
from outside comes first among its inputs, as `consts`. All have several outputs (a tuple).

scan(body, length, consts, carry, reverse)
    operands  (*consts, *init, *xs)              xs have a leading axis of `length`
    body      (*consts, *carry, *x) → (*carry, *y)
    result    (*carry, *ys)                      ys have a leading axis of `length`
    `consts`, `carry`: how many there are. `reverse`: last x first, y k still at place k.

while(cond, body, cond_consts, consts)
    operands  (*cond_consts, *consts, *init)
    cond      (*cond_consts, *carry) → one boolean of shape ()
    body      (*consts, *carry) → (*carry)
    result    (*carry)

while_transpose(cond, body, back, cond_consts, consts, carry, saved, moving)
    operands  (*cond_consts, *consts, *init, *g)
    1. the loop runs forward: body (*consts, *carry) → (*carry, *saved). Per step the `saved` last
       outputs are kept, in a stack that grows with the steps.
    2. from the last step to the first: back (*consts, *sums, *g, *saved) → (*sums, *g), with what
       was saved at that step.
    result    (*sums, *g)
    The sums start at zero; their types, and those of g, are those of back's outputs. `carry`: how
    many values the loop carries (of which only as many as there are g vary). `moving`, one flag per
    const and carry: which of them the results belong to; only rules need it.

cond(branches)
    operands  (p, *xs)                           p is a boolean of shape ()
    branches  (where p holds, where it doesn't): each (*xs) → outputs of one and the same type.

The types of carries agree on entry and exit of a body, and no result is weak. An input of a body
may be marked weak: it began as one of Python's numbers (fori_loop's counter), and promotes so.
Derivatives and batches make new programs out of these; that needs the floor above, which enters its
rules in `RULES` (transform/loop.py, transform/choice.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.bound import Carried
from chainrule.ir.primitive import Case, Custom, Draw
from chainrule.ir.program import Constant, Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import primitive
from chainrule.tracing.body import stage_body
from chainrule.tracing.runner import runner

# While a trace runs, NumPy's own names make buffers.
_empty, _zeros, _asarray = np.empty, np.zeros, np.asarray

# What the floor above makes of programs: (primitive, kind of rule) → rule.
RULES: dict[tuple[str, str], Callable[..., Any]] = {}


def _rule(name: str, kind: str) -> Callable[..., Any]:
    return lambda *args, **params: RULES[name, kind](*args, **params)


def output_types(program: Program) -> tuple[ArrayType, ...]:
    """The types of a program's outputs; none is weak."""
    kinds = (
        type_of(out.value) if isinstance(out, Constant) else out.type for out in program.outputs
    )
    return tuple(ArrayType(kind.shape, kind.dtype) for kind in kinds)


def _plain(x: Any, kind: ArrayType) -> Any:
    """A value as a loop carries it: never one of Python's own numbers."""
    return kind.dtype.type(x) if type(x) in (bool, int, float, complex) else x[()]


def _kinds(types: Any) -> list[Any]:
    return [(kind.shape, kind.dtype) for kind in types]


# ---- cases ---------------------------------------------------------------------------------------


class _Example(Mapping[str, Any]):
    """Parameters whose programs are traced when somebody looks at them."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    @functools.cached_property
    def traced(self) -> dict[str, Any]:
        return {name: self._made(value) for name, value in self.given.items()}

    def _made(self, value: Any) -> Any:
        if isinstance(value, _Text):
            return stage_body(value.function, value.kinds, "case").program
        return tuple(map(self._made, value)) if type(value) is tuple else value

    def __getitem__(self, name: str) -> Any:
        return self.traced[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


class _Text(NamedTuple):
    """A program as the function that it's traced from."""

    function: Callable[..., Any]
    kinds: tuple[ArrayType, ...]


def _text(function: Callable[..., Any], *shapes: tuple[int, ...], dtype: str = "f8") -> _Text:
    return _Text(function, tuple(ArrayType(shape, np.dtype(dtype)) for shape in shapes))


# ---- scan ----------------------------------------------------------------------------------------


def _scan_type(*xs: ArrayType, body: Program, length: int, carry: int, **more: Any) -> Any:
    kinds = output_types(body)
    stacked = [ArrayType((length, *kind.shape), kind.dtype) for kind in kinds[carry:]]
    return (*kinds[:carry], *stacked)


def _scan_value(
    *xs: Any, body: Program, length: int, consts: int, carry: int, reverse: bool
) -> tuple[Any, ...]:
    step, kinds = runner(body), output_types(body)
    fixed, rows = xs[:consts], xs[consts + carry :]
    state = [_plain(x, kind) for x, kind in zip(xs[consts:], kinds[:carry], strict=False)]
    ys = [_empty((length, *kind.shape), kind.dtype) for kind in kinds[carry:]]
    for k in reversed(range(length)) if reverse else range(length):
        outs = step(*fixed, *state, *[row[k] for row in rows])
        state = outs[:carry]
        for y, out in zip(ys, outs[carry:], strict=True):
            y[k] = out
    return (*state, *ys)


def _scan_loops(
    b: Any, out: Any, *xs: Any, body: Program, length: int, consts: int, carry: int, reverse: bool
) -> Any:
    return b.scan(body, length, consts, carry, reverse, xs, _kinds(out))


def _scan_case(*args: Any, note: str, function: Any, consts: int, **given: Any) -> Case:
    shapes = [a.shape if k < consts + 1 else a.shape[1:] for k, a in enumerate(args)]
    body = _text(function, *shapes, dtype=args[0].dtype)
    length = args[-1].shape[0] if len(args) > consts + 1 else 3
    params = {"length": length, "consts": consts, "carry": 1, "reverse": False, **given}
    return Case(args, _Example(body=body, **params), note)


_SCAN_CASES = (
    _scan_case(
        Draw((3,)),
        Draw((4, 3)),
        note="carry, rows",
        function=lambda c, x: (np.sin(c) * x, np.sum(c)),
        consts=0,
    ),
    _scan_case(
        Draw((3, 3)),
        Draw((3,)),
        Draw((4, 3)),
        note="const, reverse",
        function=lambda w, c, x: (np.tanh(w @ c + x), c * x),
        consts=1,
        reverse=True,
    ),
    _scan_case(
        Draw((), dtype="f4"),
        Draw((), dtype="f4"),
        note="no rows, f32",
        function=lambda a, c: (c * a + 0.5, a - c),
        consts=1,
    ),
    _scan_case(
        Draw((2,), dtype="c16"),
        Draw((3, 2), dtype="c16"),
        note="complex",
        function=lambda c, x: (c * x, c + x),
        consts=0,
    ),
    _scan_case(
        Draw((2,)),
        Draw((0, 2)),
        note="no steps",
        function=lambda c, x: (c * x, c),
        consts=0,
    ),
)

scan = primitive(
    name="scan",
    type_rule=_scan_type,
    value=_scan_value,
    derivative=Custom(
        _rule("scan", "forward"),
        _rule("scan", "reverse"),
        output=False,
        asks=True,
        together=_rule("scan", "together"),
        linearise=_rule("scan", "linearise"),
        masked=_rule("scan", "masked"),
        chooses=_rule("scan", "chooses"),
    ),
    batch=_rule("scan", "batch"),
    symbolic=None,
    lower=_scan_loops,
    bound=Carried(),
    cases=_SCAN_CASES,
    multiple=True,
)


# ---- while ---------------------------------------------------------------------------------------


def _while_type(*xs: ArrayType, body: Program, **more: Any) -> tuple[ArrayType, ...]:
    return output_types(body)


def _while_value(
    *xs: Any, cond: Program, body: Program, cond_consts: int, consts: int
) -> tuple[Any, ...]:
    test, step = runner(cond), runner(body)
    seen, fixed = xs[:cond_consts], xs[cond_consts : cond_consts + consts]
    first = xs[cond_consts + consts :]
    state = [_plain(x, kind) for x, kind in zip(first, output_types(body), strict=True)]
    while test(*seen, *state)[0]:
        state = step(*fixed, *state)
    return tuple(state)


def _while_loops(
    b: Any, out: Any, *xs: Any, cond: Program, body: Program, cond_consts: int, consts: int
) -> Any:
    return b.while_loop(cond, body, cond_consts, consts, xs, _kinds(out))


# Small changes of the operands never change how often these run.
_TRIPLED = _text(lambda size, kept: size < 20.0, (), (2,))

_WHILE_CASE = Case(
    (Draw((2,)), Draw((), 1.1, 1.4), Draw((2,))),
    _Example(
        cond=_TRIPLED,
        body=_text(lambda a, size, kept: (size * 3.0, np.sin(kept) * a), (2,), (), (2,)),
        cond_consts=0,
        consts=1,
    ),
    note="const, two carries",
)

while_ = primitive(
    name="while",
    type_rule=_while_type,
    value=_while_value,
    derivative=Custom(
        _rule("while", "forward"),
        _rule("while", "reverse"),
        output=False,
        asks=True,
        together=_rule("while", "together"),
    ),
    batch=_rule("while", "batch"),
    symbolic=None,
    lower=_while_loops,
    bound=Carried(),
    cases=(_WHILE_CASE,),
    multiple=True,
)


# ---- the reverse of while ------------------------------------------------------------------------


def _transpose_type(*xs: ArrayType, back: Program, **more: Any) -> tuple[ArrayType, ...]:
    return output_types(back)


def _transpose_value(
    *xs: Any,
    cond: Program,
    body: Program,
    back: Program,
    cond_consts: int,
    consts: int,
    carry: int,
    saved: int,
    moving: tuple[bool, ...],
) -> tuple[Any, ...]:
    test, step, step_back = runner(cond), runner(body), runner(back)
    seen, fixed = xs[:cond_consts], xs[cond_consts : cond_consts + consts]
    start = cond_consts + consts
    state = [
        _plain(x, kind)
        for x, kind in zip(xs[start : start + carry], output_types(body), strict=False)
    ]
    stack = []
    with np.errstate(all="ignore"):
        while test(*seen, *state)[0]:
            outs = step(*fixed, *state)
            state = outs[:carry]
            stack.append(outs[carry:])
        kinds = output_types(back)
        gs = xs[start + carry :]
        pulled = [_zeros(kind.shape, kind.dtype)[()] for kind in kinds[: len(kinds) - len(gs)]]
        pulled += [_plain(g, kind) for g, kind in zip(gs, kinds[len(pulled) :], strict=True)]
        while stack:
            pulled = step_back(*fixed, *pulled, *stack.pop())
    return tuple(pulled)


def _transpose_loops(
    b: Any, out: Any, *xs: Any, cond: Program, body: Program, back: Program, cond_consts: int,
    consts: int, carry: int, saved: int, moving: tuple[bool, ...],
) -> Any:  # fmt: skip
    return b.while_back(cond, body, back, cond_consts, consts, carry, xs, _kinds(out))


def _kept(a: Any, size: Any, kept: Any) -> Any:
    return size * 3.0, np.sin(kept) * a, np.sin(kept), np.cos(kept)


def _kept_back(a: Any, total: Any, g_size: Any, g: Any, sine: Any, cosine: Any) -> Any:
    return total + sine * g, 3.0 * g_size, cosine * a * g


_TRANSPOSE_CASE = Case(
    (Draw((2,)), Draw((), 1.1, 1.4), Draw((2,)), Draw(()), Draw((2,))),
    _Example(
        cond=_TRIPLED,
        body=_text(_kept, (2,), (), (2,)),
        back=_text(_kept_back, (2,), (2,), (), (2,), (2,), (2,)),
        cond_consts=0,
        consts=1,
        carry=2,
        saved=2,
        moving=(True, True, True),
    ),
    note="const, two carries",
)

while_transpose = primitive(
    name="while_transpose",
    type_rule=_transpose_type,
    value=_transpose_value,
    derivative=Custom(
        _rule("while_transpose", "forward"),
        _rule("while_transpose", "reverse"),
        output=False,
        asks=True,
    ),
    batch=_rule("while_transpose", "batch"),
    symbolic=None,
    lower=_transpose_loops,
    bound=Carried(),
    cases=(_TRANSPOSE_CASE,),
    multiple=True,
)


# ---- cond ----------------------------------------------------------------------------------------


def _cond_type(p: ArrayType, *xs: ArrayType, branches: tuple[Program, Program]) -> Any:
    return output_types(branches[0])


def _cond_value(p: Any, *xs: Any, branches: tuple[Program, Program]) -> tuple[Any, ...]:
    taken = branches[0] if p else branches[1]
    kinds = output_types(taken)
    return tuple(map(_plain, runner(taken)(*xs), kinds))


def _cond_loops(b: Any, out: Any, p: Any, *xs: Any, branches: Any) -> Any:
    return b.cond(branches, (p, *xs), _kinds(out))


_COND_CASE = Case(
    (Draw((), dtype="?"), Draw((3,), 0.5), Draw((3,))),
    _Example(
        branches=(
            _text(lambda x, y: (np.log(x) * y, np.sum(x)), (3,), (3,)),
            _text(lambda x, y: (x * y[0], 2.0 * np.sum(y)), (3,), (3,)),
        )
    ),
    note="two operands",
)

cond = primitive(
    name="cond",
    type_rule=_cond_type,
    value=_cond_value,
    derivative=Custom(
        _rule("cond", "forward"),
        _rule("cond", "reverse"),
        output=False,
        asks=True,
        together=_rule("cond", "together"),
        masked=_rule("cond", "masked"),
        chooses=_rule("cond", "chooses"),
    ),
    batch=_rule("cond", "batch"),
    symbolic=None,
    lower=_cond_loops,
    bound=Carried(),
    cases=(_COND_CASE,),
    multiple=True,
)
