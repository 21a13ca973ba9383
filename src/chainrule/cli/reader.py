"""Reading a typed expression: text in, a flat list of checked steps out.

The text is read by Python's own parser and then walked node by node; whatever isn't arithmetic is
refused with its column. Nothing is compiled and nothing is evaluated but the functions that
`vocabulary.py` lists, so an expression can't reach anything else.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ExpressionError
from chainrule.cli.vocabulary import BINARY, COMPARISONS, CONSTANTS, FUNCTIONS, MEANT, UNARY

LONGEST = 2_000
DEEPEST = 100
LARGEST_EXPONENT = 1_000

_LETTER = re.compile(r"[A-Za-z0-9_\u03b1-\u03c9\u0391-\u03a9]")
_PUNCTUATION = frozenset(" .,+-*/%()<>!=")
_FORBIDDEN: dict[type[ast.AST], str] = {
    ast.Attribute: "attributes (a dot after a name) are not arithmetic",
    ast.Await: "await is not arithmetic",
    ast.BoolOp: "and, or are not arithmetic",
    ast.Compare: "a comparison may only stand first in where(condition, a, b)",
    ast.Dict: "dictionaries are not arithmetic",
    ast.GeneratorExp: "comprehensions are not arithmetic",
    ast.IfExp: "if … else is not arithmetic; write where(condition, a, b)",
    ast.JoinedStr: "text is not arithmetic",
    ast.Lambda: "lambda is not arithmetic",
    ast.List: "lists are not arithmetic",
    ast.NamedExpr: "assignments are not arithmetic",
    ast.Set: "sets are not arithmetic",
    ast.Starred: "a star before an argument is not arithmetic",
    ast.Subscript: "indexing is not arithmetic",
    ast.Tuple: "only one expression can be differentiated; a comma separates arguments only",
    ast.UnaryOp: "only + and - may stand before a value",
    ast.Yield: "yield is not arithmetic",
}


class Step(NamedTuple):
    """One node: an operation on earlier steps, a name, or (with a value) a number."""

    text: tuple[int, int]  # where it stands in the expression
    run: Callable[..., Any] | None = None
    operands: tuple[int, ...] = ()
    name: str | None = None
    value: Any = None


def pointer(text: str, start: int, end: int) -> dict[str, str]:
    """The expression with carets below one piece of it; a long one cut to the neighbourhood."""
    left = max(0, start - 50) if len(text) > 70 else 0
    shown = text[left : left + 70]
    head, tail = ("…" if left else ""), ("…" if left + 70 < len(text) else "")
    carets = "^" * max(1, min(end, left + 70) - start)
    return {"expression": f"{head}{shown}{tail}\n{' ' * (len(head) + start - left)}{carets}"}


def checked_text(text: str) -> str:
    """The text on one line, every character of it one that arithmetic needs."""
    text = " ".join(text.split())
    if not text:
        raise ExpressionError("the expression is empty", fix='write one, such as "x**2 + sin(y)"')
    if len(text) > LONGEST:
        raise ExpressionError(
            "the expression is too long",
            {"length": f"{len(text)} characters; at most {LONGEST} are read"},
            "write it as a Python function and use cr.compare",
        )
    for column, character in enumerate(text):
        if not (_LETTER.match(character) or character in _PUNCTUATION):
            raise _bad_character(text, column, character)
    _check_brackets(text)
    return text


def _bad_character(text: str, column: int, character: str) -> ExpressionError:
    if character in "'\"`":
        problem, fix = "text in quotes is not arithmetic", "leave out the quotes"
    elif character in "[]{}":
        problem, fix = f"{character} can't be used here", "use round brackets ( )"
    else:
        shown = character if character.isprintable() else f"U+{ord(character):04X}"
        problem = f"the character {shown} can't be used here"
        fix = MEANT.get(character, "use numbers, names, + - * / ** % and round brackets")
    return ExpressionError(problem, pointer(text, column, column + 1), fix)


def _check_brackets(text: str) -> None:
    open_at: list[int] = []
    for column, character in enumerate(text):
        if character == "(":
            open_at.append(column)
            if len(open_at) > DEEPEST:
                raise ExpressionError(
                    f"brackets are nested more than {DEEPEST} deep",
                    pointer(text, column, column + 1),
                    "simplify the expression",
                )
        elif character == ")":
            if not open_at:
                raise ExpressionError(
                    "a closing bracket without an opening one",
                    pointer(text, column, column + 1),
                    "remove it, or add the missing (",
                )
            open_at.pop()
    if open_at:
        raise ExpressionError(
            "an opening bracket is never closed",
            pointer(text, open_at[-1], open_at[-1] + 1),
            "add the missing )",
        )


class Reader:
    """One walk over the syntax tree, from the leaves to the root, without recursion."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text = text
        self.names = names
        self.steps: list[Step] = []

    def read(self) -> list[Step]:
        root = self.parse()
        done: dict[int, int] = {}  # id of a node → its step
        stack: list[tuple[ast.AST, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                done[id(node)] = self.step(node, [done[id(c)] for c in self.children(node)])
                continue
            stack.append((node, True))
            stack += [(child, False) for child in reversed(self.children(node))]
        return self.steps

    def parse(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            raise self.syntax_error(error) from None
        except (RecursionError, MemoryError, ValueError):
            raise ExpressionError(
                "the expression is nested too deeply",
                {"expression": self.text[:70]},
                "simplify the expression",
            ) from None

    def syntax_error(self, error: SyntaxError) -> ExpressionError:
        column = min(max((error.offset or 1) - 1, 0), max(len(self.text) - 1, 0))
        for symbol in ("//", "==="):
            if symbol in self.text:
                column = self.text.index(symbol)
        glued = re.search(r"(?<![A-Za-z_0-9.])(\d+\.?\d*)\s*(?=[A-Za-z_α-ωΑ-Ω(])", self.text)
        single = re.search(r"(?<![<>!=])=(?!=)", self.text)
        if single:
            return self.error("= is not arithmetic", MEANT["="], *single.span())
        if glued and not re.match(r"[eE][+-]?\d", self.text[glued.end() :]):
            number = glued.group(1)
            fix = f"write a product with *: {number}*{self.text[glued.end() :][:12]}"
            return self.error("something is missing after a number", fix, *glued.span(1))
        bare = re.search(rf"\b({'|'.join(FUNCTIONS)})\s+(?=[\w.])", self.text)
        if bare:
            fix = f"write {signature(bare.group(1))}"
            return self.error("the brackets of a function are missing", fix, *bare.span(1))
        if self.text[-1] in "+-*/%,<>":
            fix = "write what comes after it"
            return self.error("the expression ends too early", fix, len(self.text) - 1)
        fix = "check the operators and brackets around here; a product is written with *"
        return self.error("this can't be read as arithmetic", fix, column)

    def error(self, problem: str, fix: str, start: int, end: int | None = None) -> ExpressionError:
        return ExpressionError(problem, pointer(self.text, start, end or start + 1), fix)

    def refuse(self, node: ast.AST, problem: str, fix: str) -> ExpressionError:
        return self.error(problem, fix, *self.span(node))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Columns of a node, counted in characters where Python counts bytes."""
        line = self.text.encode()
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", None)
        return len(line[:start].decode()), len(line[:end].decode())

    def children(self, node: ast.AST) -> list[ast.AST]:
        """The nodes that a step reads; what isn't arithmetic is refused unseen."""
        if isinstance(node, ast.BinOp):
            self.check_operator(node)
            return [node.left, node.right]
        if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            return [node.operand]
        if isinstance(node, ast.Call):
            self.check_call(node)
            first = node.args[:1]
            if self.called(node) == "where" and isinstance(first[0], ast.Compare):
                condition = first[0]
                if len(condition.ops) != 1:
                    fix = "compare two values at a time"
                    raise self.refuse(condition, "a chain of comparisons can't be used here", fix)
                return [condition.left, condition.comparators[0], *node.args[1:]]
            return list(node.args)
        if isinstance(node, (ast.Constant, ast.Name)):
            return []
        raise self.forbidden(node)

    def forbidden(self, node: ast.AST) -> ExpressionError:
        problem = _FORBIDDEN.get(type(node))
        if problem is None:
            name = type(node).__name__
            problem = (
                "comprehensions are not arithmetic" if "Comp" in name else "this is not arithmetic"
            )
        fix = "use numbers, names, + - * / ** % and the functions of: chainrule diff --help"
        if isinstance(node, ast.Compare):
            fix = f"write where({self.text[slice(*self.span(node))]}, a, b)"
        return self.refuse(node, problem, fix)

    def check_operator(self, node: ast.BinOp) -> None:
        if type(node.op) in BINARY:
            return
        fix = "use + - * / ** %"
        if isinstance(node.op, ast.FloorDiv):
            fix = "write floor(a / b)"
        raise self.refuse(node, "this operator is not arithmetic on real numbers", fix)

    def called(self, node: ast.Call) -> str:
        return node.func.id if isinstance(node.func, ast.Name) else ""

    def check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Attribute):
                raise self.forbidden(node.func)
            fix = "write a product with *"
            raise self.refuse(node.func, "only a function can be called", fix)
        name = node.func.id
        if name in self.names:
            fix = f"write a product with *: {name}*(…)"
            raise self.refuse(node.func, f"{name} is a number, not a function", fix)
        if name not in FUNCTIONS:
            raise self.refuse(node.func, f"there is no function {name}", near(name, FUNCTIONS))
        if node.keywords:
            fix = f"write {name}(…) with plain arguments"
            raise self.refuse(node, "arguments can't be given by name", fix)
        wanted = FUNCTIONS[name].arguments
        if len(node.args) != wanted:
            plural = "s" * (wanted != 1)
            problem = f"{name} takes {wanted} argument{plural}, not {len(node.args)}"
            raise self.refuse(node, problem, f"write {signature(name)}")
        if name == "where" and not isinstance(node.args[0], ast.Compare):
            fix = "write where(x > 0, a, b)"
            raise self.refuse(node.args[0], "where needs a comparison first", fix)

    def step(self, node: ast.AST, operands: list[int]) -> int:
        span = self.span(node)
        if isinstance(node, ast.Constant):
            return self.add(Step(span, value=self.number(node)))
        if isinstance(node, ast.Name):
            return self.add(self.name(node, span))
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Pow):
                self.check_exponent(node, operands[1])
            return self.operation(span, BINARY[type(node.op)], operands)
        if isinstance(node, ast.UnaryOp):
            return self.operation(span, UNARY[type(node.op)], operands)
        assert isinstance(node, ast.Call)
        if self.called(node) == "where" and isinstance(node.args[0], ast.Compare):
            compare = COMPARISONS.get(type(node.args[0].ops[0]))
            if compare is None:
                raise self.forbidden(node.args[0])
            test = self.operation(self.span(node.args[0]), compare, operands[:2])
            operands = [test, *operands[2:]]
        return self.operation(span, FUNCTIONS[self.called(node)].run, operands)

    def add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def operation(self, span: tuple[int, int], run: Callable[..., Any], operands: list[int]) -> int:
        """An operation; done at once, in floating point, if all its operands are numbers."""
        values = [self.steps[k].value for k in operands]
        if any(v is None for v in values):
            return self.add(Step(span, run, tuple(operands)))
        with np.errstate(all="ignore"):
            value = run(*values)
        if not np.isfinite(value):
            problem = f"{self.text[slice(*span)][:40]} is not a real number"
            if np.isinf(value):
                problem = f"{self.text[slice(*span)][:40]} is infinite or too large"
            raise self.error(problem, "use values that give a finite real number", *span)
        return self.add(Step(span, value=bool(value) if value.dtype == bool else float(value)))

    def number(self, node: ast.Constant) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float, complex)):
            raise self.refuse(node, "only numbers are arithmetic", "write it as a number")
        if isinstance(value, complex):
            fix = "write it with real numbers"
            raise self.refuse(node, "complex numbers can't be used here", fix)
        if abs(value) > 1e308:
            raise self.refuse(node, "this number is too large", "numbers go up to 1e308")
        return float(value)

    def name(self, node: ast.Name, span: tuple[int, int]) -> Step:
        if node.id in self.names:
            return Step(span, name=node.id)
        if node.id in CONSTANTS:
            return Step(span, value=CONSTANTS[node.id])
        if node.id in FUNCTIONS:
            fix = f"write {signature(node.id)}"
            raise self.refuse(node, f"{node.id} is a function and needs its arguments", fix)
        fix = f"give it one: --at {','.join(f'{n}=…' for n in [*self.names, node.id])}"
        raise self.refuse(node, f"{node.id} has no value", fix)

    def check_exponent(self, node: ast.BinOp, exponent: int) -> None:
        value = self.steps[exponent].value
        if value is not None and abs(value) > LARGEST_EXPONENT:
            problem = "this exponent is too large"
            fix = f"exponents between -{LARGEST_EXPONENT} and {LARGEST_EXPONENT} are computed"
            raise self.refuse(node.right, problem, fix)


def signature(name: str) -> str:
    """How a function is called: sin(x), max(x, y), where(x > 0, a, b)."""
    if name == "where":
        return "where(x > 0, a, b)"
    return f"{name}({', '.join('xyz'[: FUNCTIONS[name].arguments])})"


def near(name: str, known: Collection[str]) -> str:
    """Did you mean …, or the list of what there is."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]}?"
    return "the functions are listed by: chainrule diff --help"
