"""`cr.source`: a function, its gradient, or any transformation of it as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.show.source.adjoint import wishes
from chainrule.show.source.latex.equations import Equations, equations
from chainrule.show.source.python.module import Module, module
from chainrule.show.source.subject import record, subject_of
from chainrule.transform.arguments import check_callable

_LANGUAGES = ("python", "latex")


class Source(str):
    """Text made from a program: a string, with what belongs to it.

    Attributes:
        language: "python" or "latex".
        name: of the function that the text defines; what it describes, in LaTeX.
        arrays: large arrays from outside the function, by the name under which it takes them.
    """

    __slots__ = ("arrays", "language", "name")

    language: str
    name: str
    arrays: dict[str, np.ndarray]

    def _repr_markdown_(self) -> str:
        """In a notebook, Python is coloured and mathematics set."""
        if self.language == "latex":
            return f"$$\n{self}\n$$"
        return f"```python\n{self}```"


def source(f: Callable[..., Any], *args: Any, language: str = "python") -> Source:
    """Readable source of a function, of its gradient, or of any transformation of it.

    Args:
        f: a function of arrays, numbers or trees of them; `cr.grad(f)`, `cr.vmap(f)`, …
        args: an example of its arguments, for their shapes and dtypes. Only where Python decides
            something by a value (`if x > 0`) is it the path taken at these very values; the text
            then says so.
        language: "python" for a module that imports only NumPy (and SciPy's special functions) and
            gives the same numbers; "latex" for aligned equations.

    Returns:
        A string. In Python it defines one function, under the name of f, with a d in front for a
        gradient. Loops written with `cr.scan`, `cr.fori_loop` and `cr.while_loop` are loops in it,
        and `cr.cond` is an if. Variables that the user named keep their names, dx is the gradient
        of x. Large arrays from outside the function are arguments of the text's function; their
        values are in `.arrays`.

    Raises:
        UnsupportedError: something has no counterpart in that language.
        ArgumentError: a language that isn't known.

    Example:
        >>> import chainrule as cr
        >>> def f(x, z):
        ...     y = x * z
        ...     return y * y
        >>> print(cr.source(cr.grad(f), 3.0, 2.0))
        def df(x, z):
            \"\"\"The gradient of f, written by chainrule for x: f64, z: f64.\"\"\"
            y = x * z
            dy = y + y
            return dy * z
        <BLANKLINE>
    """
    check_callable(f, "source")
    if language == "c":
        raise UnsupportedError(
            "source: C is a later step",
            fix='language="python" and language="latex" are there; '
            "cr.jit(f).llvm(*args) is what the machine runs",
        )
    if language not in _LANGUAGES:
        raise ArgumentError(
            "source: no such language",
            {"given": repr(language)[:40], "known": ", ".join(_LANGUAGES)},
            f"write language={_LANGUAGES[0]!r}",
        )
    subject, recorded = subject_of(f), record(f, args)
    names, program = wishes(recorded.raw), recorded.program
    made: Module | Equations
    if language == "latex":
        made = equations(program, {**wishes(program), **names}, subject, args)
    else:
        made = module(program, names, subject, args, recorded)
    text = Source(made.text)
    text.language, text.name, text.arrays = language, made.name, made.arrays
    return text
