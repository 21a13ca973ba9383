"""Second derivatives: the Hessian, and its product with a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.transform.arguments import Argnums, check_callable
from chainrule.transform.forward import jvp, matched
from chainrule.transform.gradient import grad
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

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
        array([[4., 2.],
               [2., 0.]])
    """
    check_callable(f, "hessian")
    first = jacobian_function(f, argnums, "reverse", "numerator", "hessian")
    return jacobian_function(first, argnums, "forward", "numerator", "hessian")


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
        ShapeError, DtypeError, ArgumentError: as `grad` and `jvp`.

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
    return jvp(grad(f, argnums), primals, tangents)[1]
