"""Programs: their text, their form, and that evaluating one gives the function back."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.program import Equation, Program, Var
from chainrule.ir.verify import verify
from chainrule.tracing.stage import evaluate, run, trace_program


def first_case(x, z):
    a = x * z
    return np.exp(a) + a / np.log(x) + np.sin(np.log(x)) / a


def branchy(x):
    total = x * 0.0
    while total < 10.0:
        total = total + x
    return total


def filled(params):
    buffer = np.zeros(3)
    buffer[0] = params["scale"] * 2
    buffer[1:] = params["shift"]
    return np.sum(buffer**2), buffer


def test_text_of_a_program():
    program = cr.trace(lambda x, z: np.sin(x * z) + 2.0, 2.0, np.ones(3))
    lines = [line.split("#")[0].rstrip() for line in str(program).splitlines()]
    assert lines == [
        "<lambda>(x: f64, z: f64[3]):",
        "  a: f64[3] = multiply(x, z)",
        "  b: f64[3] = sin(a)",
        "  c: f64[3] = add(b, 2.0)",
        "  return c",
    ]
    assert "test_program.py" in str(program)


def test_letters_never_repeat_the_name_of_an_argument():
    program = cr.trace(lambda c: c * 2.0 + 1.0, 1.0)
    names = [var.name for var in program.variables()]
    assert len(set(names)) == len(names)


def test_arguments_in_trees_are_named_by_their_path():
    program = cr.trace(filled, {"scale": 1.0, "shift": np.ones(2)})
    assert [var.name for var in program.inputs] == ["params['scale']", "params['shift']"]


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (first_case, (2.0, 3.0)),
        (branchy, (3.0,)),
        (filled, ({"scale": 1.5, "shift": np.array([1.0, -2.0])},)),
    ],
)
def test_a_program_is_well_formed_and_computes_the_function(f, args):
    program = verify(cr.trace(f, *args))
    expected, found = f(*args), run(program, *args)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = found if isinstance(found, tuple) else (found,)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b)


def test_a_program_of_no_values_equals_the_one_with_values():
    args = (2.0, 3.0)
    with_values = trace_program(first_case, *args)
    without = trace_program(first_case, *args, values=False)
    names = [e.primitive.name for e in with_values.equations]
    assert names == [e.primitive.name for e in without.equations]
    np.testing.assert_allclose(evaluate(verify(without), *args), first_case(*args))


def test_branches_are_remembered_with_their_place():
    program = cr.trace(branchy, 3.0)
    assert [answer for _, answer in program.branches] == [True, True, True, True, False]
    assert "test_program.py" in str(program.branches[0][0])


def test_closure_arrays_are_captured_and_unused_equations_left_out():
    weights = np.arange(20.0)

    def f(x):
        np.exp(x)
        return np.sum(weights * x)

    program = cr.trace(f, np.ones(20))
    assert [e.primitive.name for e in program.equations] == ["multiply", "sum"]
    [(var, value)] = program.captured
    np.testing.assert_array_equal(value, weights)
    assert var.type.shape == (20,)


def test_a_captured_array_is_what_it_was_when_it_was_used():
    weights = np.arange(20.0)
    program = cr.trace(lambda x: np.sum(weights * x), np.ones(20))
    weights[:] = 0.0
    assert float(run(program, np.ones(20))) == np.arange(20.0).sum()


def test_verify_finds_a_value_used_before_it_is_defined():
    program = cr.trace(lambda x: np.sin(x) * 2.0, 1.0)
    broken = Program(
        name=program.name,
        inputs=program.inputs,
        captured=(),
        equations=program.equations[::-1],
        outputs=program.outputs,
    )
    with pytest.raises(cr.InternalError, match="used before it is defined"):
        verify(broken)


def test_verify_finds_a_wrong_type():
    program = cr.trace(lambda x: np.sin(x), np.ones(3))
    [equation] = program.equations
    kind = equation.outputs[0].type._replace(shape=(4,))
    wrong = Equation(equation.primitive, equation.inputs, {}, (Var(9, kind),))
    broken = Program("f", program.inputs, (), (wrong,), wrong.outputs)
    with pytest.raises(cr.InternalError, match="gives f64"):
        verify(broken)
