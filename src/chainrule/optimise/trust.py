"""A program taken on trust: what derivatives withhold, in case something isn't finite, let through.

What is withheld meets nothing but zeros, and zero times a finite number is zero: the program
without it, and without all that it took to know what to withhold, is as right. Where something
isn't finite zero times that is NaN, and a NaN goes on: so it's enough to look where NaNs would get
lost, and at the end. `without_nan` does, and where it finds one the program as it was runs instead.

A NaN in a variable *shows* if it's sure to be met by one that is looked at. It's *harmless* if each
of its entries shows or makes no difference. Which variables are which is found from the last to the
first; loops begin with the best that may be and come down to what holds from turn to turn.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterator, Sequence

from chainrule.ir.primitive import Linear, Multilinear
from chainrule.ir.program import Equation, Operand, Program, Var
from chainrule.ops.doubt import without_nan
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, operand_type
from chainrule.optimise.termination import ends_anyway, mentions
from chainrule.transform.derive import pruned, where_true

# What becomes of a NaN, in bits: it's harmless; it shows, where doubt reaches what is looked at;
# from `_FIRST` on, in which output, looked at in any case.
_LOST, _HARMLESS, _SHOWS, _FIRST = 0, 1, 3, 2
# What trust has done to a variable: nothing; somehow it depends on it; it's right, or NaN; it may
# be wrong in entries that are dropped in the end; it holds what hasn't met its zeros yet.
_SOUND, _TOUCHED, _DOUBTED, _WILD, _RAW = range(5)
_NONE: frozenset[int] = frozenset()
_BROADCAST = PRIMITIVES["broadcast_to"]
_WITHHOLD = PRIMITIVES["withhold"]
# Operations that give NaN wherever an operand is NaN, or in some entry if it's one.
_PASSING = frozenset(
    "add subtract multiply divide negative positive reciprocal square sqrt cbrt exp exp2 "
    "expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh expit log_expit erf erfc absolute maximum minimum matmul sum astype copy "
    "reshape transpose stack concatenate broadcast_to withhold".split()
)


def on_trust(program: Program) -> Program:
    """The program that withholds nothing, and fails where that matters; the same if it does."""
    if not any(mentions(equation, "withhold") for equation in program.equations):
        return program
    try:
        return _taken(program).finish()
    except _NotKnown:
        return program


def _taken(program: Program) -> _Trust:
    """With as few outputs looked at as will do, the first ones first."""
    outputs, sound = program.outputs, [_SOUND] * len(program.inputs)
    every = _Trust(program, [_HARMLESS | 1 << k + _FIRST for k in range(len(outputs))])
    every.doubt(sound)
    looked, finite = _cheapest(program, list(every.sources()))
    shown = [_HARMLESS | 1 << _FIRST if k in looked else _LOST for k in range(len(outputs))]
    some = _Trust(program, shown, finite)
    for k, (out, state) in enumerate(zip(outputs, some.doubt(sound), strict=True)):
        if type(out) is Var and (state >= _DOUBTED or k in looked):
            some.looked_at.add(out.number)
    return some


def _cheapest(
    program: Program, sources: list[tuple[int, frozenset[int]]]
) -> tuple[set[int], frozenset[int]]:
    """Which outputs to look at, and which results of `withhold`; not the best choice, but good."""
    sizes = [operand_type(out).size for out in program.outputs]
    costs = {
        equation.outputs[0].number: operand_type(equation.inputs[0]).size
        for equation in program.equations
        if equation.primitive is _WITHHOLD
    }
    looked: set[int] = set()
    finite: set[int] = set()
    waiting = []
    for places, causes in sources:
        found = [k for k in range(len(sizes)) if places >> k + _FIRST & 1]
        best = min(found, key=sizes.__getitem__)
        waiting.append((bool(causes), sizes[best], best, set(found), causes))
    # First those for which there is only one way, then those that cost least.
    for _, size, best, shown, causes in sorted(waiting, key=lambda source: source[:3]):
        rest = causes - finite
        if not shown & looked and (rest or not causes):
            if causes and sum(costs[cause] for cause in rest) < size:
                finite |= rest
            else:
                looked.add(best)
    return looked, frozenset(finite)


def _bodies(equation: Equation) -> tuple[Program, ...]:
    """The programs that a loop or a choice of branches runs, without a loop's condition."""
    params, name = equation.params, equation.primitive.name
    if name in ("scan", "while"):
        return (params["body"],)
    return tuple(params["branches"]) if name == "cond" else ()


def _may_be_nan(operand: Operand) -> bool:
    return type(operand) is Var and operand.type.dtype.kind in "fc"


def _passed(equation: Equation, k: int) -> int:
    """What becomes of a NaN in operand k, if one in the result shows."""
    op, out = equation.primitive, equation.outputs[0]
    if op.multiple or not _may_be_nan(equation.inputs[k]) or not _may_be_nan(out):
        return _LOST
    if out.type.size and (op.name in _PASSING or op.name == "constant_power"):
        return _SHOWS if op.name in _PASSING or equation.params["n"] else _LOST
    derivative = op.derivative
    linear = isinstance(derivative, Linear) and k in op.linear_args(len(equation.inputs))
    return _HARMLESS if linear or isinstance(derivative, Multilinear) else _LOST


def _multiplies(equation: Equation) -> bool:
    """Whether what would have been withheld meets its zeros here, if not before."""
    op = equation.primitive
    return op.name == "multiply" or isinstance(op.derivative, Multilinear)


class _Raw:
    """What would have been withheld, until it meets its zeros; and how often it does.

    It's met once in a first derivative. In a second one it's multiplied by other things too, which
    are dropped later.
    """

    def __init__(self, program: Program) -> None:
        self.roots: dict[int, frozenset[int]] = {}  # variable → the results of `withhold` in it
        self.met: dict[int, int] = {}
        for equation in program.equations:
            found = frozenset[int]().union(*map(self._of, equation.inputs))
            if equation.primitive is _WITHHOLD:
                number = equation.outputs[0].number
                self.roots[number] = found | {number}
            elif not found:
                continue
            elif _multiplies(equation):
                for operand in equation.inputs:
                    self._meet(operand, 1)
            elif any(_passed(equation, k) for k in range(len(equation.inputs))):
                self.roots[equation.outputs[0].number] = found
            else:
                for operand in equation.inputs:
                    self._meet(operand, 2)
        for out in program.outputs:
            self._meet(out, 2)

    def _of(self, operand: Operand) -> frozenset[int]:
        return self.roots.get(operand.number, _NONE) if type(operand) is Var else _NONE

    def _meet(self, operand: Operand, times: int) -> None:
        for root in self._of(operand):
            self.met[root] = self.met.get(root, 0) + times

    def once(self, operand: Operand) -> bool:
        """Whether all of it in an operand meets something just here."""
        roots = self._of(operand)  # none where it comes from outside of a body
        return bool(roots) and all(self.met[root] == 1 for root in roots)


class _NotKnown(Exception):
    """What would be withheld goes where it isn't known to meet its zeros."""


def _know(fact: bool) -> None:
    if not fact:
        raise _NotKnown


class _Trust:
    """One program, or a body: where NaNs would get lost, and where there may be any.

    Args:
        shown: what becomes of a NaN in each output.
        finite: the results of `withhold` whose operands are looked at themselves.
    """

    def __init__(
        self, program: Program, shown: Sequence[int], finite: frozenset[int] = frozenset()
    ) -> None:
        self.program = program
        self.finite = finite
        self.raw = _Raw(program)
        self.fates: dict[int, list[int]] = {}  # variable → what each that reads it makes of a NaN
        self.lost: set[int] = set()  # variables to be looked at, should they be in doubt
        self.inside: dict[int, list[_Trust]] = {}  # the bodies of an equation, by its place
        self.states: dict[int, int] = {}
        self.looked_at: set[int] = set()
        self.as_it_was: set[int] = set()  # the places of loops that go on withholding
        self._meet(program.outputs, shown)
        for place in range(len(program.equations) - 1, -1, -1):
            equation = program.equations[place]
            found = [self.fate(var) for var in equation.outputs]
            for k, var in enumerate(equation.outputs):
                if found[k] == _LOST and _may_be_nan(var):
                    self.lost.add(var.number)
                    found[k] = _SHOWS
            self._meet(equation.inputs, self._fates_of_inputs(place, equation, found))

    def _meet(self, operands: Sequence[Operand], fates: Sequence[int]) -> None:
        for operand, fate in zip(operands, fates, strict=True):
            if type(operand) is Var:
                self.fates.setdefault(operand.number, []).append(fate)

    def fate(self, var: Var) -> int:
        """What becomes of a NaN in a variable; one that nobody reads is harmless."""
        fates = self.fates.get(var.number, [_HARMLESS])
        shows = functools.reduce(operator.or_, fates) & ~_HARMLESS
        return shows | _HARMLESS if shows else min(fates)

    # ---- last to first: what becomes of a NaN ----------------------------------------------------

    def _fates_of_inputs(self, place: int, equation: Equation, found: list[int]) -> list[int]:
        name, params = equation.primitive.name, equation.params
        if name == "cond":
            inner = self.inside[place] = [_Trust(body, found) for body in _bodies(equation)]
            fates = [[each.fate(var) for var in each.program.inputs] for each in inner]
            return [_LOST, *map(operator.and_, *fates)]
        if name == "scan":
            consts, carry = params["consts"], params["carry"]
            inside, states = self._turns(place, equation, found, consts, carry)
            if not params["length"]:
                inside = [_LOST] * len(inside)
            return [*inside[:consts], *states, *inside[consts + carry :]]
        if name == "while":
            inside, states = self._turns(place, equation, found, params["consts"], len(found))
            # With no turns at all nothing would show.
            once = [fate & _HARMLESS for fate in inside[: params["consts"]]]
            return [*[_LOST] * params["cond_consts"], *once, *states]
        passed = [_passed(equation, k) for k in range(len(equation.inputs))]
        return [found[0] & (-1 if fate == _SHOWS else fate) for fate in passed]

    def _turns(
        self, place: int, equation: Equation, found: list[int], consts: int, carry: int
    ) -> tuple[list[int], list[int]]:
        """For the inputs of a loop's body, and for its state before and between turns."""
        (body,) = _bodies(equation)
        states = found[:carry]
        while True:
            inner = _Trust(body, [*states, *found[carry:]])
            fates = [inner.fate(var) for var in body.inputs]
            lower = list(map(operator.and_, states, fates[consts:]))
            if lower == states:
                self.inside[place] = [inner]
                return fates, states
            states = lower

    # ---- first to last: where there may be one ---------------------------------------------------

    def doubt(self, given: Sequence[int]) -> list[int]:
        """What trust does to the outputs, if it has done this to the inputs."""
        self.states = {
            var.number: state for var, state in zip(self.program.inputs, given, strict=True)
        }
        for place, equation in enumerate(self.program.equations):
            before = [self.state(operand) for operand in equation.inputs]
            if place in self.inside:
                after = self._doubt_inside(place, equation, before)
            else:
                after = [self._after(equation, before)] * len(equation.outputs)
            for var, state in zip(equation.outputs, after, strict=True):
                self.states[var.number] = state
                if state >= _DOUBTED and var.number in self.lost:
                    self.looked_at.add(var.number)
        return [self.state(out) for out in self.program.outputs]

    def state(self, operand: Operand) -> int:
        """What trust has done to an operand."""
        return self.states.get(operand.number, _SOUND) if type(operand) is Var else _SOUND

    def _after(self, equation: Equation, before: list[int]) -> int:
        if equation.primitive is _WITHHOLD:
            return _SOUND if equation.outputs[0].number in self.finite else _RAW
        most = max(before, default=_SOUND)
        doubted = [k for k, state in enumerate(before) if state >= _DOUBTED]
        if not any(_passed(equation, k) for k in doubted):
            _know(most != _RAW)
            return min(most, _TOUCHED)
        if most == _RAW:
            if not _multiplies(equation):
                return _RAW
            raw = [equation.inputs[k] for k in doubted if before[k] == _RAW]
            if not all(map(self.raw.once, raw)):
                return _WILD
        # What a derivative hands to the user's own operations is no longer wild.
        if most == _WILD and equation.backward:
            return _WILD
        # If a NaN is sure to show, nobody needs to ask what else becomes of it.
        return _TOUCHED if self.fate(equation.outputs[0]) >> _FIRST else _DOUBTED

    def _doubt_inside(self, place: int, equation: Equation, before: list[int]) -> list[int]:
        inner, params = self.inside[place], equation.params
        if equation.primitive.name == "cond":
            found = [max(pair) for pair in zip(*[e.doubt(before[1:]) for e in inner], strict=True)]
            return found if before[0] == _SOUND else [max(_TOUCHED, state) for state in found]
        touched = list(map(bool, before))
        if equation.primitive.name == "while" and not ends_anyway(equation, touched):
            # With a NaN it might never end, where without it does.
            _know(_RAW not in before)
            self.as_it_was.add(place)
            doubted = [a for a in equation.inputs if self.state(a) and _may_be_nan(a)]
            self.looked_at.update(a.number for a in doubted if type(a) is Var)
            return [_TOUCHED if any(before) else _SOUND] * len(equation.outputs)
        first, carry = params["consts"], params.get("carry", len(equation.outputs))
        given = before[params.get("cond_consts", 0) :]
        while True:
            found = inner[0].doubt(given)
            grown = list(map(max, given[first : first + carry], found))
            if grown == given[first : first + carry]:
                return found
            given[first : first + carry] = grown

    def sources(self) -> Iterator[tuple[int, frozenset[int]]]:
        """In which outputs a NaN shows that trust may make, and what must be finite for none.

        The latter are results of `withhold`; none in a loop, whose turns they would slow down.
        """
        outside = frozenset([-1])  # stands for what comes out of loops, or into a body
        causes = {var.number: outside for var in self.program.inputs if self.state(var) > _TOUCHED}
        for place, equation in enumerate(self.program.equations):
            if place in self.inside:
                if place not in self.as_it_was:
                    for each in self.inside[place]:
                        yield from ((places, _NONE) for places, _ in each.sources())
                news = (var for var in equation.outputs if self.state(var) > _TOUCHED)
                causes.update((var.number, outside) for var in news)
                continue
            read = [a.number for a in equation.inputs if type(a) is Var]
            found = _NONE.union(*[causes.get(number, _NONE) for number in read])
            if _multiplies(equation):
                found = found.union(*[self.raw.roots.get(number, _NONE) for number in read])
            places = self.fate(equation.outputs[0]) >> _FIRST << _FIRST
            if found and places:
                yield places, _NONE if found >= outside else found
            elif found:
                causes.update((var.number, found) for var in equation.outputs)

    # ---- the program on trust --------------------------------------------------------------------

    def finish(self) -> Program:
        """What was withheld let through, and NaNs looked for where they would get lost."""
        rewrite = Rewrite(self.program)
        rewrite.changed = True
        for place, original in enumerate(self.program.equations):
            equation = rewrite.current(original)
            if equation.primitive is _WITHHOLD:
                _let_through(rewrite, equation, equation.outputs[0].number in self.finite)
            elif place in self.inside and place not in self.as_it_was:
                rewrite.keep(_with_bodies(equation, [each.finish() for each in self.inside[place]]))
            else:
                rewrite.keep(equation)
            for var in original.outputs:
                if var.number in self.looked_at:
                    _look_at(rewrite, var, original)
        return rewrite.finish()


def _let_through(rewrite: Rewrite, equation: Equation, finite: bool) -> None:
    (x, _), (out,) = equation.inputs, equation.outputs
    if finite and type(x) is Var:
        x = _known(rewrite, x, equation, True)
    if operand_type(x).shape == out.type.shape:
        rewrite.replace(out, x, equation)
        return
    params = {"shape": out.type.shape}
    rewrite.keep(dataclasses.replace(equation, primitive=_BROADCAST, inputs=(x,), params=params))


def _look_at(rewrite: Rewrite, var: Var, equation: Equation) -> None:
    """From here on the variable is known to hold no NaN, or the program has failed."""
    rewrite.stands[var.number] = _known(rewrite, rewrite.read(var), equation, False)


def _known(rewrite: Rewrite, x: Operand, equation: Equation, finite: bool) -> Var:
    known = rewrite.var(operand_type(x))
    place, backward = equation.place, equation.backward
    rewrite.keep(Equation(without_nan, (x,), {"finite": finite}, (known,), place, backward))
    return known


def _with_bodies(equation: Equation, made: list[Program]) -> Equation:
    """A loop, or branches, with other programs; a loop without what they no longer read."""
    params, name = dict(equation.params), equation.primitive.name
    if name == "cond":
        return dataclasses.replace(equation, params={**params, "branches": tuple(made)})
    asked, consts = params.get("cond_consts", 0), params["consts"]
    count = len(equation.outputs)
    left = pruned(made[0], consts, params.get("carry", count), (True,) * count)
    params |= {"body": left.program, "consts": sum(left.inputs[:consts])}
    inputs = tuple(where_true(equation.inputs, (*(True,) * asked, *left.inputs)))
    return dataclasses.replace(equation, inputs=inputs, params=params)
