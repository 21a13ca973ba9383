"""Arrays that never change, as literals: in a program and in the bodies of its loops."""

import numpy as np

import chainrule as cr
from chainrule.ir.program import Constant
from chainrule.ir.verify import verify
from chainrule.optimise.literal import literal
from chainrule.optimise.pipeline import optimise
from chainrule.tracing.stage import evaluate, trace_program


def frozen(array):
    array = np.array(array)
    array.setflags(write=False)
    return array


def literals(program):
    return [
        a.value
        for e in program.equations
        for a in e.inputs
        if isinstance(a, Constant) and np.ndim(a.value)
    ]


def names(program):
    return [e.primitive.name for e in program.equations]


def test_places_stand_in_the_program():
    order = frozen([7, 3, 5, 1, 0, 2, 9, 8])
    program = trace_program(lambda x: x[order], np.arange(10.0), values=False)
    made = verify(literal(program))
    assert not made.captured
    np.testing.assert_array_equal(literals(made)[0], order)
    x = np.arange(10.0) ** 2
    np.testing.assert_array_equal(evaluate(made, x)[0], x[order])


def test_one_number_all_over_takes_no_memory():
    ones = frozen(np.full((40, 50), -0.0))
    program = trace_program(lambda x: x + ones, np.zeros((40, 50)), values=False)
    made = verify(literal(program))
    assert not made.captured
    assert names(made) == ["broadcast_to", "add"]
    out = evaluate(made, np.full((40, 50), -0.0))[0]
    assert np.all(np.signbit(out))


def test_what_differs_or_may_change_stays():
    mixed, live = frozen([0.0, -0.0] * 20), np.zeros(40)
    live_view = live[:]
    live_view.setflags(write=False)
    for array in (mixed, live_view):
        program = trace_program(lambda x, a=array: x * a, np.ones(40), values=False)
        made = literal(program)
        assert len(made.captured) == 1


def test_bodies_know_what_they_are_given():
    order = frozen([4, 2, 0, 1, 3, 6, 5])
    mask = frozen(np.ones(7, bool))

    def f(x):
        return cr.scan(lambda c, r: (np.where(mask, c[order] + r, 0.0), None), x[0], x)[0]

    x = np.arange(28.0).reshape(4, 7)
    program = trace_program(f, x, values=False)
    made = verify(optimise(program))
    (scan,) = [e for e in made.equations if e.primitive.name == "scan"]
    assert scan.params["consts"] == 0
    assert names(scan.params["body"]) == ["getitem", "add"]
    np.testing.assert_array_equal(evaluate(made, x)[0], evaluate(program, x)[0])
    np.testing.assert_array_equal(cr.jit(f)(x), f(x))


def test_an_array_from_outside_is_read_anew():
    table = np.array([1, 0])
    compiled = cr.jit(lambda x: x[table])
    np.testing.assert_array_equal(compiled(np.array([2.0, 3.0])), [3.0, 2.0])
    table[:] = 0, 1
    np.testing.assert_array_equal(compiled(np.array([2.0, 3.0])), [2.0, 3.0])


def test_another_array_in_its_place_is_not_mistaken_for_it():
    order = frozen([1, 0, 2])
    scale = frozen([2.0, 2.0, 2.0])
    compiled = cr.jit(lambda x: x[order] * scale)
    x = np.array([3.0, 4.0, 5.0])
    np.testing.assert_array_equal(compiled(x), [8.0, 6.0, 10.0])
    order = frozen([2, 1, 0])
    np.testing.assert_array_equal(compiled(x), [10.0, 8.0, 6.0])
    scale = frozen([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(compiled(x), [5.0, 8.0, 9.0])
    np.testing.assert_array_equal(compiled(x), [5.0, 8.0, 9.0])
