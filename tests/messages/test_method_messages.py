"""What finite differences, formulas, checks, comparisons and reports say, word for word."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.primitive import Partials, Primitive
from chainrule.tracing.trace import apply

PLAIN = "call it outside of grad, jvp, vmap and the like"
NOT_ANALYTIC = "(np.abs, {}, a comparison on real parts); use method='central'"


def said(call):
    """Class and text of the error, with the place shortened to `here`."""
    with pytest.raises(cr.ChainruleError) as caught, np.errstate(all="ignore"):
        call()
    text = str(caught.value)
    here = r"where:( +)test_method_messages\.py:\d+ in \S+"
    assert re.search(here, text), text
    shortened = re.sub(here, r"where:\1here", text)
    return f"{type(caught.value).__name__}: {shortened}"


@cr.custom_jvp
def sine(x):
    return np.sin(x)


@sine.defjvp
def _rule(primals, tangents):
    return sine(primals[0]), -np.cos(primals[0]) * tangents[0]


def logistic(x):
    for _ in range(40):
        x = 4 * x * (1 - x)
    return x


def changes_shape(x):
    return np.ones(2 if x > 1 else 3)


CASES = {
    "not a function": (
        lambda: cr.finite_difference(3),
        """ArgumentError: finite_difference: the first argument must be a function
  given: int 3
  where: here
  fix:   write cr.finite_difference(f)(x), not cr.finite_difference(f(x))""",
    ),
    "unknown method": (
        lambda: cr.finite_difference(np.sin, method="centre"),
        """ArgumentError: finite_difference: unknown method 'centre'
  where: here
  fix:   use one of central, forward, backward, complex, richardson""",
    ),
    "negative step": (
        lambda: cr.finite_difference(np.sin, step=-1),
        """ArgumentError: finite_difference: the step must be a positive number
  step:  -1
  where: here
  fix:   write step=1e-5, or leave it out: then one is chosen that suits the argument""",
    ),
    "step too small": (
        lambda: cr.finite_difference(np.sin, step=1e-20)(1.0),
        """ArgumentError: finite_difference: the step is too small, x + h rounds to x
  step:  1e-20
  x:     1.0
  dtype: float64
  where: here
  fix:   leave step=None: it scales with x""",
    ),
    "integer argument": (
        lambda: cr.finite_difference(np.sin)(1),
        """DtypeError: finite_difference: only floating-point arguments can be differentiated
  argument 0: i64
  where:      here
  fix:        pass a float: 2.0 instead of 2, or x.astype(float)""",
    ),
    "truth as output": (
        lambda: cr.finite_difference(lambda x: x > 0)(1.0),
        """DtypeError: finite_difference: the function must return floating-point numbers
  output: bool
  where:  here
  fix:    an integer or a truth value has no derivative; return a float""",
    ),
    "complex step through abs": (
        lambda: cr.finite_difference(np.abs, method="complex")(1.0),
        """UnsupportedError: finite_difference: the complex step lost its imaginary part
  returned: f64
  where:    here
  fix:      the function isn't analytic as NumPy computes it """
        + NOT_ANALYTIC.format("np.real"),
    ),
    "complex step through x abs x": (
        lambda: cr.finite_difference(lambda x: x * np.abs(x), method="complex")(-1.0),
        """UnsupportedError: finite_difference: the complex step disagrees with a real difference
  complex step:    1.0
  real difference: 2.0
  where:           here
  fix:             the function isn't analytic as NumPy computes it """
        + NOT_ANALYTIC.format("np.conj"),
    ),
    "complex step through floor": (
        lambda: cr.finite_difference(np.floor, method="complex")(1.5),
        """UnsupportedError: finite_difference: the function refuses the complex step
  raised: TypeError
  where:  here
  fix:    use method='central'""",
    ),
    "complex step of complex": (
        lambda: cr.finite_difference(np.sin, method="complex")(1j),
        """UnsupportedError: finite_difference: the complex step is for real arguments
  argument: c128
  where:    here
  fix:      use method='central'""",
    ),
    "not holomorphic": (
        lambda: cr.finite_difference(np.conj)(1j),
        """DtypeError: finite_difference: not holomorphic: no complex derivative
  along the real axis:      (1+0j)
  along the imaginary axis: -1j
  where:                    here
  fix:                      differentiate its real and imaginary parts one at a time""",
    ),
    "changing shape": (
        lambda: cr.finite_difference(changes_shape)(1.0),
        """ShapeError: finite_difference: the shape of the result changes with the argument
  first: f64[2]
  then:  f64[3]
  where: here
  fix:   differentiate within one shape: the number of entries can't vary continuously""",
    ),
    "too large for a formula": (
        lambda: cr.symbolic(logistic, np.ones(30_000)),
        """ArgumentError: symbolic: the program has 3,630,000 scalars, too many for a formula
  function: logistic
  most:     20,000
  where:    here
  fix:      use smaller arrays; or cr.grad, which has no such limit""",
    ),
    "too large to write out": (
        lambda: cr.symbolic(logistic, 0.3).derivative(0),
        """ArgumentError: symbolic: written out, this formula has 131,391,639,519,231 operations
  shared: 316 operations
  where:  here
  fix:    print the object, or use .shared(argnum), which names the parts""",
    ),
    "other shapes": (
        lambda: cr.symbolic(np.sin, np.ones(2)).function()(np.ones(3)),
        """ArgumentError: symbolic: the arguments have other shapes than the example
  example: [(2,)]
  given:   [(3,)]
  where:   here
  fix:     call cr.symbolic(f, *args) again""",
    ),
    "formula of an integer": (
        lambda: cr.symbolic(lambda n: n * 2, 2).derivative(),
        """DtypeError: symbolic: only floating-point arguments can be differentiated
  argument 0: i64
  where:      here
  fix:        pass a float in the example: 2.0 instead of 2""",
    ),
    "no such argument": (
        lambda: cr.symbolic(np.sin, 2.0).derivative(3),
        """ArgumentError: symbolic: argnums=3 names an argument that was not given
  given: 1 positional argument
  where: here
  fix:   arguments that are differentiated must be passed by position""",
    ),
    "wrong rule": (
        lambda: cr.check_grads(lambda x: 2 * sine(x), (0.5,)),
        """GradientError: check_grads: the derivative of <lambda> disagrees with finite differences
  check:     forward mode
  entry:     argument 0
  by rule:   -1.755165124
  numerical: 1.755165124 ± 2.3e-13
  operation: sine(f64)
  its rule:  -0.8775825619, numerically 0.8775825619
  where:     here
  fix:       correct the derivative rule of that operation""",
    ),
    "unknown mode": (
        lambda: cr.check_grads(np.sin, (1.0,), modes=("sideways",)),
        """ArgumentError: check_grads: modes must be 'forward', 'reverse' or both
  given: ('sideways',)
  where: here
  fix:   write modes=('forward', 'reverse')""",
    ),
    "order zero": (
        lambda: cr.check_grads(np.sin, (1.0,), order=0),
        """ArgumentError: check_grads: the order must be 1 or more
  order: 0
  where: here
  fix:   write order=2""",
    ),
    "check of an integer": (
        lambda: cr.check_grads(np.sin, (1,)),
        """DtypeError: check_grads: no floating-point argument to differentiate
  where: here
  fix:   pass floats: 2.0 instead of 2, or x.astype(float)""",
    ),
    "comparison of an integer": (
        lambda: cr.compare(np.sin, 1),
        """DtypeError: compare: no floating-point argument to differentiate
  argument 0: i64
  where:      here
  fix:        pass floats: 2.0 instead of 2, or x.astype(float)""",
    ),
    "comparison of a number": (
        lambda: cr.compare(1.0),
        """ArgumentError: compare: the first argument must be a function
  given: float 1.0
  where: here
  fix:   write cr.compare(f)(x), not cr.compare(f(x))""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_messages(name):
    call, text = CASES[name]
    found = said(call)
    # The bound of a difference depends on the last bits of the machine's sine.
    bound = r"± \d\.\de-\d\d"
    assert re.sub(bound, "±", found) == re.sub(bound, "±", text)


@pytest.mark.parametrize(
    ("caller", "use"),
    [
        ("finite_difference", lambda x: cr.finite_difference(np.sin)(x)),
        ("symbolic", lambda x: cr.symbolic(np.sin, x)),
        ("check_grads", lambda x: cr.check_grads(np.sin, (x,))),
        ("compare", lambda x: cr.compare(np.sin, x)),
        ("differentiability", lambda x: cr.differentiability(np.sin, x)),
    ],
)
def test_traced_values_are_refused(caller, use):
    assert said(lambda: cr.grad(use)(1.0)) == (
        f"UnsupportedError: {caller}: this needs plain numbers, not traced values\n"
        f"  where: here\n  fix:   {PLAIN}"
    )


def test_an_operation_without_a_formula():
    plain = Primitive(
        name="plain", type_rule=lambda x: x, value=lambda x: x, derivative=Partials(1.0),
        batch=None, symbolic=None, lower=None, cases=(),
    )  # fmt: skip
    assert said(lambda: cr.symbolic(lambda x: apply(plain, x), np.ones(2))) == (
        "UnsupportedError: symbolic: plain has no formula in SymPy\n"
        "  operation: plain\n"
        "  result:    f64[2]\n"
        "  where:     here\n"
        "  fix:       differentiate with cr.grad or cr.jvp instead"
    )


def test_a_report_of_differentiability():
    def f(x):
        return np.sum(np.abs(x)) + np.floor(x[0])

    lines = str(cr.differentiability(f, np.array([0.5, 0.0]))).splitlines()
    place = re.escape("test_method_messages.py:") + r"\d+ in f: "
    assert lines[0] == "f: not differentiable here, in 1 place"
    assert re.fullmatch(r"  kink      absolute, " + place + r"np\.abs\(x\)", lines[1])
    assert lines[2] == ("            entry [1]; the slopes are −1 and 1; the derivative taken is 0")
    assert re.fullmatch(r"  flat      floor, " + place + r"np\.floor\(x\[0\]\)", lines[3])
    assert lines[4] == "            its derivative is zero wherever it exists"
    assert lines[5].startswith("cost of the derivative, 2 inputs → 1 output (one run of f: ")
    assert lines[-1] == "  recommended: either mode"


def test_a_comparison_names_the_worst_entry():
    table = cr.compare(
        lambda w: np.sum(w**2), np.array([1.0, 2.0]), manual=lambda w: np.array([2.0, -4.0])
    )
    assert table.verdict.splitlines() == [
        "manual disagrees: df/dw[1] is -4 there, and 4 by symbolic",
        "finite difference, symbolic, forward mode, reverse mode agree",
    ]


def test_a_formula_reports_its_sizes():
    assert str(cr.symbolic(lambda x, z: x * np.exp(z), 1.0, 2.0)) == (
        "<lambda>(x, z)\n"
        "  value: 2 operations shared, 2 written out\n"
        "    f = x*exp(z)\n"
        "  derivative by x: 1 operation shared, 1 written out\n"
        "    df/dx = exp(z)\n"
        "  derivative by z: 2 operations shared, 2 written out\n"
        "    df/dz = x*exp(z)"
    )
