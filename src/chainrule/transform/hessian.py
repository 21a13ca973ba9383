"""Second derivatives: the Hessian, and its product with a direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.tracing.trace import ground, resolve
from chainrule.transform.arguments import Argnums, check_callable
from chainrule.transform.domain import require_value
from chainrule.transform.forward import jvp, matched
from chainrule.transform.gradient import grad, like
from chainrule.transform.jacobian import jacobian_function


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The second derivatives of a function: forward mode over reverse mode.

    Args:
        f: a function of arrays, numbers or trees of them, with any result.
        argnums: the argument(s) to differentiate, counted from 0.

    Returns:
        A function of the same arguments. Each leaf of the result has the shape
        `out.shape + in.shape + in.shape`, in trees of the argument(s) inside one another.

    Raises:
        DtypeError: a differentiated argument is an integer.
        DomainError: the result is a scalar and NaN, as `grad`.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
        array([[4., 2.],
               [2., 0.]])
    """
    check_callable(f, "hessian")

    @like(f)
    def second(*args: Any, **kwargs: Any) -> Any:
        noting = _Noting(f)
        first = jacobian_function(noting, argnums, "reverse", "numerator", "hessian")
        found = jacobian_function(first, argnums, "forward", "numerator", "hessian")(
            *args, **kwargs
        )
        noting.check(args, kwargs, argnums, "hessian")
        return found

    return second


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function times a direction, never built itself.

    Args:
        f: a function with a real scalar result.
        primals: a list or tuple with one value per argument of f.
        tangents: the direction, of the same trees and shapes.

    Returns:
        The derivative of the gradient along the direction, of the tree of `primals[0]`; for
        several primals a tuple with one such tree each.

    Raises:
        ShapeError, DtypeError, ArgumentError, DomainError: as `grad` and `jvp`.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
        array([6., 0.])
    """
    check_callable(f, "hvp")
    matched(primals, tangents, "hvp")
    several = isinstance(primals, (tuple, list)) and len(primals) != 1
    argnums: Argnums = tuple(range(len(primals))) if several else 0
    noting = _Noting(f)
    found = jvp(grad(noting, argnums), primals, tangents)[1]
    noting.check(primals, {}, argnums, "hvp")
    return found


class _Noting:
    """A function that notes what it returned last: a derivative alone doesn't show a NaN."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.returned: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.returned = self.f(*args, **kwargs)
        return self.returned

    def check(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums, caller: str
    ) -> None:
        """Raise where a scalar result was NaN."""
        value = ground(resolve(self.returned))
        if np.ndim(value) == 0:
            require_value(value, self.f, args, kwargs, argnums, caller)
