"""What transformations say about arguments they can't work with, word for word."""

from __future__ import annotations

import numpy as np
import pytest
from numpy import array, zeros

import chainrule as cr

V = np.array([0.3, 0.7, 1.1])
PLAIN = np.zeros(3)
KEPT = []


def kept_example():
    kept = []
    cr.vmap(lambda x: kept.append(x) or x)(V)
    return np.sin(kept[0])


def with_rule(result):
    f = cr.custom_jvp(lambda x: x * 1.0)
    f.defjvp(lambda primals, tangents: result(primals, tangents))
    return f


def closing(w):
    f = cr.custom_jvp(lambda x: x * w)
    f.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
    return f


def with_reverse(bwd, fwd=lambda x: (x, None)):
    f = cr.custom_vjp(lambda x: x * 1.0)
    f.defvjp(fwd, bwd)
    return f


CASES = {
    # ---- what is differentiated ----
    "an integer": (
        lambda: cr.grad(lambda x: x)(2),
        cr.DtypeError,
        """grad: only floating-point arguments can be differentiated
  argument 0: i64
  where:      HERE
  fix:        pass a float: 2.0 instead of 2, or x.astype(float)""",
    ),
    "integers in a tree": (
        lambda: cr.grad(lambda p: p["a"])({"a": np.arange(3), "b": 1.0}),
        cr.DtypeError,
        """grad: only floating-point arguments can be differentiated
  argument 0['a']: i64[3]
  where:           HERE
  fix:             pass a float: 2.0 instead of 2, or x.astype(float)""",
    ),
    "a truth value": (
        lambda: cr.jvp(lambda x: x, (True,), (1.0,)),
        cr.DtypeError,
        """jvp: only floating-point arguments can be differentiated
  argument 0: bool
  where:      HERE
  fix:        pass a float: 2.0 instead of 2, or x.astype(float)""",
    ),
    "text": (
        lambda: cr.jacobian(lambda x: x)("a"),
        cr.DtypeError,
        """jacobian: only floating-point arguments can be differentiated
  argument 0: str 'a'
  where:      HERE
  fix:        choose the arguments to differentiate with argnums=…""",
    ),
    "a masked array": (
        lambda: cr.grad(np.sum)(np.ma.masked_array(V, V > 1)),
        cr.DtypeError,
        """grad: masked arrays can't be differentiated
  where: HERE
  fix:   pass x.filled(value) and the mask separately, and choose with np.where""",
    ),
    "no such argument": (
        lambda: cr.grad(lambda x: x, argnums=1)(2.0),
        cr.ArgumentError,
        """grad: argnums=1 names an argument that was not given
  given: 1 positional argument
  where: HERE
  fix:   arguments that are differentiated must be passed by position""",
    ),
    "an argument named twice": (
        lambda: cr.grad(lambda x, y: x * y, argnums=(0, -2))(2.0, 3.0),
        cr.ArgumentError,
        """grad: argnums=(0, -2) names an argument twice
  given: 2 positional arguments
  where: HERE
  fix:   name each argument once""",
    ),
    "a name for a position": (
        lambda: cr.grad(lambda x: x, argnums="x")(2.0),
        cr.ArgumentError,
        """grad: argnums must be an integer or a tuple of integers
  given: 'x'
  where: HERE
  fix:   write argnums=0 for the first argument, argnums=(0, 1) for the first two""",
    ),
    "a value for a function": (
        lambda: cr.grad(3.0),
        cr.ArgumentError,
        """grad: the first argument must be a function
  given: float 3.0
  where: HERE
  fix:   write cr.grad(f)(x), not cr.grad(f(x))""",
    ),
    # ---- what the function returns ----
    "an array": (
        lambda: cr.grad(lambda x: x * 2)(V),
        cr.ShapeError,
        """grad: the function must return a scalar
  returned: f64[3]
  where:    HERE
  fix:      reduce it (np.sum, np.mean); or use cr.jacobian(f), or cr.vjp(f, x)""",
    ),
    "two values": (
        lambda: cr.grad(lambda x: (x, x))(2.0),
        cr.ShapeError,
        """grad: the function must return one scalar; it returned 2 values
  where: HERE
  fix:   return their sum; or use cr.jacobian(f), or cr.vjp(f, x)""",
    ),
    "nothing": (
        lambda: cr.grad(lambda x: None)(2.0),
        cr.ShapeError,
        """grad: the function must return one scalar; it returned nothing
  where: HERE
  fix:   end it with return …""",
    ),
    "a complex number": (
        lambda: cr.grad(lambda x: x * 1j)(2.0),
        cr.DtypeError,
        """grad: the function must return a real floating-point number
  returned: c128
  where:    HERE
  fix:      return a real number: np.real(z), or np.abs(z)**2""",
    ),
    "a position": (
        lambda: cr.grad(lambda x: np.argmax(x))(V),
        cr.DtypeError,
        """grad: the function must return a real floating-point number
  returned: i64
  where:    HERE
  fix:      an integer or a truth value has no derivative; return a float""",
    ),
    "no auxiliary value": (
        lambda: cr.grad(lambda x: x, has_aux=True)(2.0),
        cr.ArgumentError,
        """grad: with has_aux=True the function must return (value, auxiliary)
  returned: f64
  where:    HERE
  fix:      end it with return value, auxiliary""",
    ),
    # ---- values that would lose their derivative ----
    "float()": (
        lambda: cr.grad(lambda x: float(x))(2.0),
        cr.TraceError,
        """float() of a traced value would lose its derivative
  value: f64
  where: HERE
  fix:   keep it traced with x.item() (an f-string prints it),
         or give the derivative up with cr.stop_gradient(x)""",
    ),
    "a name imported from NumPy": (
        lambda: cr.grad(lambda x: array([x, x]).sum())(2.0),
        cr.TraceError,
        """NumPy asked for the plain values of a traced array, which would lose its derivative
  value: f64
  where: HERE
  fix:   write np.array(...) instead of a name imported from NumPy or a list of traced values; \
and fill arrays that were made inside the function""",
    ),
    "out=": (
        lambda: cr.grad(lambda x: np.sum(np.sin(x, out=PLAIN)))(V),
        cr.TraceError,
        """np.sin: out= names a plain array, which can't hold a traced value
  where: HERE
  fix:   use the returned value; or make the array with np.zeros(...) inside the function""",
    ),
    "where=": (
        lambda: cr.grad(lambda x: np.sum(np.sin(x, where=V > 0.5)))(V),
        cr.UnsupportedError,
        """np.sin: the argument where= can't be traced
  given: where=array([False,  True,  True])
  where: HERE
  fix:   use np.where(condition, result, other)""",
    ),
    "an array of integers": (
        lambda: cr.grad(lambda x: np.zeros(3, int).__setitem__(0, x))(2.0),
        cr.DtypeError,
        """an array of dtype int64 can't hold a traced float64
  array: i64[3]
  value: f64
  where: HERE
  fix:   make the array with dtype float64; or convert the value with .astype(int64)""",
    ),
    "an index outside": (
        lambda: cr.grad(lambda x: x[5])(V),
        cr.OutOfBoundsError,
        """indexing: index 5 is out of bounds for axis 0 with size 3
  array: f64[3]
  where: HERE
  fix:   use an index inside the array""",
    ),
    # ---- tangents and cotangents ----
    "a tangent's shape": (
        lambda: cr.jvp(lambda x: x, (V,), (np.ones(2),)),
        cr.ShapeError,
        """jvp: a tangent has another shape than its value
  value:   f64[3]
  tangent: f64[2]
  where:   HERE
  fix:     give a tangent of shape (3,)""",
    ),
    "a complex tangent": (
        lambda: cr.jvp(lambda x: x, (V,), (V * 1j,)),
        cr.DtypeError,
        """jvp: a tangent is complex but its value is real
  value:   f64[3]
  tangent: c128[3]
  where:   HERE
  fix:     give its real part: np.real(tangent)""",
    ),
    "a tangent too many": (
        lambda: cr.jvp(lambda x: x, (V,), (V, V)),
        cr.ArgumentError,
        """jvp: primals and tangents must have the same tree
  primals:  (*,)
  tangents: (*, *)
  where:    HERE
  fix:      give one tangent per primal, put together in the same way""",
    ),
    "a tangent under another name": (
        lambda: cr.jvp(lambda p: p["a"], ({"a": V},), ({"b": V},)),
        cr.ArgumentError,
        """jvp: primals and tangents must have the same tree
  primals:  ({'a': *},)
  tangents: ({'b': *},)
  where:    HERE
  fix:      give one tangent per primal, put together in the same way""",
    ),
    "bare primals": (
        lambda: cr.jvp(lambda x: x, V, V),
        cr.ArgumentError,
        """jvp: primals and tangents must each be a tuple or a list
  where: HERE
  fix:   write cr.jvp(f, (x,), (t,))""",
    ),
    "bare primals of hvp": (
        lambda: cr.hvp(np.sum, V, V),
        cr.ArgumentError,
        """hvp: primals and tangents must each be a tuple or a list
  where: HERE
  fix:   write cr.hvp(f, (x,), (t,))""",
    ),
    "a tangent map": (
        lambda: cr.linearize(lambda x: x, V)[1](V, V),
        cr.ArgumentError,
        """linearize: primals and tangents must have the same tree
  primals:  (*,)
  tangents: (*, *)
  where:    HERE
  fix:      give one tangent per primal, put together in the same way""",
    ),
    "a cotangent's shape": (
        lambda: cr.vjp(lambda x: x, V)[1](np.ones(2)),
        cr.ShapeError,
        """vjp: a cotangent has another shape than its value
  value:     f64[3]
  cotangent: f64[2]
  where:     HERE
  fix:       give a cotangent of shape (3,)""",
    ),
    "a cotangent's tree": (
        lambda: cr.vjp(lambda x: (x, x), V)[1](V),
        cr.ArgumentError,
        """vjp: the cotangent must have the tree of the output
  output:    (*, *)
  cotangent: *
  where:     HERE
  fix:       give one cotangent per output, put together in the same way""",
    ),
    # ---- batches ----
    "a branch under vmap": (
        lambda: cr.vmap(lambda x: x if x > 0 else -x)(V),
        cr.TraceError,
        """bool() needs one value, but under vmap there is one per example
  value: Traced<bool, one of a batch of 3>
  where: HERE
  fix:   choose with np.where(condition, a, b) or cr.cond(condition, f, g);
         repeat with cr.while_loop""",
    ),
    "float() under vmap": (
        lambda: cr.vmap(lambda x: float(x))(V),
        cr.TraceError,
        """float() needs one value, but under vmap there is one per example
  value: Traced<f64, one of a batch of 3>
  where: HERE
  fix:   choose with np.where(condition, a, b) or cr.cond(condition, f, g);
         repeat with cr.while_loop""",
    ),
    "batches of two lengths": (
        lambda: cr.vmap(lambda x, y: x)(V, np.ones(2)),
        cr.ShapeError,
        """vmap: batch axes of different lengths
  3:     argument leaf 0, axis 0 of shape (3,)
  2:     argument leaf 1, axis 0 of shape (2,)
  where: HERE
  fix:   give them as many examples each; or in_axes=None to what all examples share""",
    ),
    "a scalar under vmap": (
        lambda: cr.vmap(lambda x: x)(2.0),
        cr.ShapeError,
        """vmap: an argument has no such axis
  argument leaf: 0
  shape:         ()
  axis:          0
  where:         HERE
  fix:           use in_axes=None for an argument that all examples share""",
    ),
    "nothing to batch": (
        lambda: cr.vmap(lambda x: x, in_axes=None)(V),
        cr.ArgumentError,
        """vmap: nothing to batch over
  where: HERE
  fix:   in_axes must name an axis of one argument at least""",
    ),
    "an axis too many": (
        lambda: cr.vmap(lambda x: x, in_axes=(0, 0))(V),
        cr.ArgumentError,
        """vmap: in_axes must have one entry per argument
  in_axes:   (0, 0)
  arguments: 1
  where:     HERE
  fix:       write None for an argument that all examples share""",
    ),
    "a batch without a place": (
        lambda: cr.vmap(lambda x: x, out_axes=None)(V),
        cr.ArgumentError,
        """vmap: out_axes=None for a result that differs between examples
  result: Traced<f64, one of a batch of 3>
  where:  HERE
  fix:    give the axis that the batch is to have in the result""",
    ),
    # ---- Jacobians ----
    "an unknown mode": (
        lambda: cr.jacobian(np.sin, mode="fwd"),
        cr.ArgumentError,
        """jacobian: unknown mode 'fwd'
  where: HERE
  fix:   use one of auto, forward, reverse, finite, symbolic""",
    ),
    "an unknown layout": (
        lambda: cr.jacobian(np.sin, layout="rows"),
        cr.ArgumentError,
        """jacobian: unknown layout 'rows'
  where: HERE
  fix:   use one of numerator, denominator""",
    ),
    "a Hessian by integers": (
        lambda: cr.hessian(np.sum)(np.arange(3)),
        cr.DtypeError,
        """hessian: only floating-point arguments can be differentiated
  argument 0: i64[3]
  where:      HERE
  fix:        pass a float: 2.0 instead of 2, or x.astype(float)""",
    ),
    "a conjugate": (
        lambda: cr.jacfwd(np.conj)(1 + 2j),
        cr.DomainError,
        """jacfwd: this complex function of a complex argument isn't holomorphic here
  along the imaginary axis: -1j
  i × along the real axis:  1j
  where:                    HERE
  fix:                      differentiate its real and imaginary part: \
np.real(f(z)), np.imag(f(z))""",
    ),
    # ---- rules of one's own ----
    "no forward rule": (
        lambda: cr.custom_jvp(np.sin)(2.0),
        cr.ArgumentError,
        """custom_jvp: sin has no derivative rule yet
  where: HERE
  fix:   state it with @f.defjvp""",
    ),
    "no reverse rule": (
        lambda: cr.custom_vjp(np.sin)(2.0),
        cr.ArgumentError,
        """custom_vjp: sin has no derivative rule yet
  where: HERE
  fix:   state it with f.defvjp(fwd, bwd)""",
    ),
    "a rule without a value": (
        lambda: cr.grad(with_rule(lambda primals, tangents: tangents[0]))(2.0),
        cr.ArgumentError,
        """custom_jvp: the rule must return (out, tangent_out)
  returned: Tracer
  where:    HERE
  fix:      end the rule with return f(x), slope * t""",
    ),
    "a rule's tree": (
        lambda: cr.grad(with_rule(lambda primals, tangents: (primals[0], tangents)))(2.0),
        cr.ArgumentError,
        """custom_jvp: the rule's tangent has another tree than the function's result
  result:  *
  tangent: (*,)
  where:   HERE
  fix:     return it put together as the function's result is""",
    ),
    "a rule's shape": (
        lambda: cr.jvp(with_rule(lambda primals, tangents: (primals[0], V)), (2.0,), (1.0,)),
        cr.ShapeError,
        """custom_jvp: the rule's tangent has the wrong shape
  expected: f64
  given:    f64[3]
  where:    HERE
  fix:      give it the shape (): that of what it belongs to""",
    ),
    "a rule that isn't linear": (
        lambda: cr.grad(with_rule(lambda p, t: (p[0], t[0] * t[0])))(2.0),
        cr.TraceError,
        """custom_jvp: its rule isn't linear in the tangents
  operation: multiply
  where:     HERE
  fix:       a derivative is a linear map: tangents and cotangents may be added, and multiplied \
by what doesn't depend on them""",
    ),
    "a closed-over value": (
        lambda: cr.grad(lambda w: closing(w)(w))(2.0),
        cr.TraceError,
        """custom_jvp: the function uses a traced value that isn't among its arguments
  where: HERE
  fix:   pass it as an argument, so that the rule can give its derivative; \
or hold it constant with cr.stop_gradient""",
    ),
    "a value kept by a checkpoint": (
        lambda: cr.grad(lambda x: cr.checkpoint(lambda y: KEPT.append(y) or y)(x) * KEPT[-1])(2.0),
        cr.TraceError,
        """a value computed inside a checkpoint, or a function with its own rule, was used outside
  where: HERE
  fix:   return it from that function instead of storing it""",
    ),
    "too few cotangents": (
        lambda: cr.grad(with_reverse(lambda kept, g: g))(2.0),
        cr.ArgumentError,
        """custom_vjp: bwd must return a tuple with one cotangent per argument
  arguments: 1
  returned:  float64
  where:     HERE
  fix:       end bwd with return (g_first, g_second, …); None where nothing flows""",
    ),
    "fwd without residuals": (
        lambda: cr.grad(with_reverse(lambda kept, g: (g,), lambda x: x))(2.0),
        cr.ArgumentError,
        """custom_vjp: fwd must return (out, residuals)
  returned: float64
  where:    HERE
  fix:      return (out, None) where bwd needs nothing""",
    ),
    "a cotangent's shape by a rule": (
        lambda: cr.grad(with_reverse(lambda kept, g: (V,)))(2.0),
        cr.ShapeError,
        """custom_vjp: bwd's cotangent for argument 0 has the wrong shape
  expected: f64
  given:    f64[3]
  where:    HERE
  fix:      give it the shape (): that of what it belongs to""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_word_for_word(name):
    case, kind, expected = CASES[name]
    with pytest.raises(kind) as caught:
        case()
    assert type(caught.value) is kind
    code = case.__code__
    place = f"test_transform_messages.py:{code.co_firstlineno} in <lambda>"
    assert str(caught.value) == expected.replace("HERE", place)


def test_one_example_kept():
    with pytest.raises(cr.TraceError) as caught:
        kept_example()
    first, *_, last = str(caught.value).splitlines()
    assert first == "a value of one example was kept beyond the function under vmap"
    assert last == "  fix:   return it from that function instead of storing it outside"


def test_a_buffer_made_by_an_imported_name_refuses_traced_values():
    def f(x):
        memory = zeros(3)
        memory[0] = x
        return np.sum(memory)

    with pytest.raises(cr.TraceError, match="written into a plain array"):
        cr.grad(f)(2.0)
