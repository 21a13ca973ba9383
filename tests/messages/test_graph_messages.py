"""What graphs, names, gates and ForwardValue say about bad input, word for word."""

from __future__ import annotations

import re

import numpy as np
import pytest

import chainrule as cr

G = cr.graph(lambda x, y: x * y if x > 0 else y, 2.0, 3.0)
LARGE = cr.graph(lambda x: np.cumsum(x), np.ones(3000))
LOOP = cr.graph(lambda x: cr.scan(lambda c, v: (c * v, None), x[0], x)[0], np.ones(3))


def gate(back, forward=lambda self, x, y: x * y):
    return type("Multiply", (cr.Gate,), {"forward": forward, "backward": back})()


def slope(made):
    return cr.grad(lambda x, y: made(x, y))(2.0, 3.0)


class _short(cr.ForwardValue):
    def func(self, x, y):
        return x * y

    def grads(self, x, y):
        return (y,)


CASES = {
    "an unknown node": (
        lambda: G.node("q"),
        cr.ArgumentError,
        """the graph has no node called 'q'
  nodes: x, y, a
  where: HERE
  fix:   use one of these names, or give names with cr.graph(f, …, names={old: new})""",
    ),
    "an unknown kind": (
        lambda: G.derivative("a", "x", kind="whole"),
        cr.ArgumentError,
        """derivative: unknown kind 'whole'
  where: HERE
  fix:   use 'total' or 'partial'""",
    ),
    "an unknown mode": (
        lambda: G.table("sideways"),
        cr.ArgumentError,
        """table: unknown mode 'sideways'
  where: HERE
  fix:   use 'forward' or 'reverse'""",
    ),
    "another path": (
        lambda: G.forward(-1.0, 3.0),
        cr.ArgumentError,
        """forward: at these inputs the function takes another path, so its graph is another one
  graph: the condition was True
  here:  it is False
  where: HERE
  fix:   call cr.graph(f, *args) with the new inputs""",
    ),
    "inputs of another tree": (
        lambda: G.forward(2.0),
        cr.ShapeError,
        """forward: the inputs must be put together as those of the graph are
  graph: (*, *)
  given: (*,)
  where: HERE
  fix:   call cr.graph(f, *args) with the new ones""",
    ),
    "an input of another shape": (
        lambda: G.forward(np.ones(2), 3.0),
        cr.ShapeError,
        """forward: an input of another shape than the graph was made for
  x:     f64
  given: f64[2]
  where: HERE
  fix:   call cr.graph(f, *args) with the new ones""",
    ),
    "an input of another dtype": (
        lambda: G.forward(1j, 3.0),
        cr.DtypeError,
        """forward: an input of another dtype than the graph was made for
  x:     f64
  given: c128
  where: HERE
  fix:   convert it, or call cr.graph(f, *args) with the new ones""",
    ),
    "an upstream of another shape": (
        lambda: LARGE.backward(),
        cr.ShapeError,
        """backward: the upstream gradient must have the shape of the output
  output b: f64[3000]
  upstream: f64
  where:    HERE
  fix:      pass backward(g) with one number per entry: np.ones for their sum""",
    ),
    "an upstream of another tree": (
        lambda: G.backward((1.0, 1.0)),
        cr.ShapeError,
        """backward: the upstream gradient must have the tree of the output
  output:   *
  upstream: (*, *)
  where:    HERE
  fix:      give one gradient per output, put together in the same way""",
    ),
    "a Jacobian that is too large": (
        lambda: LARGE.edges[0].local,
        cr.ShapeError,
        """the Jacobian of a by x has 9,000,000 entries
  a:     f64[3000]
  x:     f64[3000]
  most:  4,194,304
  where: HERE
  fix:   ask for what flows along the edge (Edge.contribution), or use cr.jvp or cr.vjp""",
    ),
    "a body without values": (
        lambda: LOOP.outputs[0].bodies[0].backward(),
        cr.ArgumentError,
        """the graph of <lambda>, which is part of another, has no values yet
  inputs: c: f64, v: f64
  where:  HERE
  fix:    give it some: body.forward(*inputs)""",
    ),
    "a turn that a loop doesn't make": (
        lambda: next(node for node in LOOP.nodes if node.bodies).within(7),
        cr.ArgumentError,
        """b: the loop has no turn 7
  turns: 3
  where: HERE
  fix:   count from 1 on, or from the last one backwards: -1""",
    ),
    "a name that is nobody's": (
        lambda: cr.graph(np.sin, 1.0, names={"q": "r"}),
        cr.ArgumentError,
        """graph: names= speaks of 'q', and no node is called that
  nodes: x, a
  where: HERE
  fix:   rename those that there are: names={old: new, …}""",
    ),
    "a name twice": (
        lambda: cr.graph(lambda x, y: x * y, 1.0, 2.0, names=["a", "a"]),
        cr.ArgumentError,
        """graph: two nodes would be called 'a'
  where: HERE
  fix:   rename both, or neither: names={old: new, …}""",
    ),
    "more names than nodes": (
        lambda: cr.graph(lambda x: x * x, 1.0, names=["a", "b", "c"]),
        cr.ArgumentError,
        """graph: names= has more names than the graph has inputs and intermediate values
  names: 3
  nodes: x, a
  where: HERE
  fix:   give fewer; literals have none""",
    ),
    "an empty name": (
        lambda: cr.graph(lambda x: x * x, 1.0, names=[" "]),
        cr.ArgumentError,
        """graph: a name must be text that isn't empty
  given: ' '
  where: HERE
  fix:   names={'c': 'area'} or names=['x', 'y', 'area']""",
    ),
    "an empty cr.name": (
        lambda: cr.name(1.0, ""),
        cr.ArgumentError,
        """name: a name must be text that isn't empty
  given: ''
  where: HERE
  fix:   cr.name(x, "a")""",
    ),
    "no function": (
        lambda: cr.graph(3.0),
        cr.ArgumentError,
        """graph: the first argument must be a function
  given: float 3.0
  where: HERE
  fix:   write cr.graph(f, x), not cr.graph(f(x))""",
    ),
    "a backward that returns nothing": (
        lambda: slope(gate(lambda self, g: None)),
        cr.ArgumentError,
        """Multiply.backward returned nothing
  inputs: 2
  where:  HERE
  fix:    end it with return [upstream × local, …], one per input""",
    ),
    "a gradient too few": (
        lambda: slope(gate(lambda self, g: [g])),
        cr.ArgumentError,
        """Multiply.backward must return one gradient per input
  inputs:    2
  gradients: 1
  where:     HERE
  fix:       return [g_first, g_second, …]; None for an input that nothing flows to""",
    ),
    "a gradient of another shape": (
        lambda: slope(gate(lambda self, g: [g, np.ones(2)])),
        cr.ShapeError,
        """Multiply.backward: gradient 1 has another shape than its input
  input:    f64
  gradient: f64[2]
  where:    HERE
  fix:      give it the shape (): sum over what forward has spread out""",
    ),
    "a forward that returns nothing": (
        lambda: slope(gate(lambda self, g: [g, g], lambda self, x, y: None)),
        cr.ArgumentError,
        """Multiply.forward returned nothing
  where: HERE
  fix:   end it with return and the value""",
    ),
    "a gate without methods": (
        lambda: slope(cr.Gate()),
        cr.ArgumentError,
        """Gate has no forward
  where: HERE
  fix:   define forward(self, *inputs) in the class""",
    ),
    "an array for a ForwardValue": (
        lambda: cr.ForwardValue([1.0, 2.0]),
        cr.ShapeError,
        """ForwardValue: a ForwardValue is a single number
  given: f64[2]
  where: HERE
  fix:   make one per entry, or use cr.jvp, which takes arrays""",
    ),
    "a ForwardValue of two numbers": (
        lambda: cr.ForwardValue(1.0, 2.0),
        cr.ArgumentError,
        """ForwardValue declares a variable from one plain number
  given: float, float
  where: HERE
  fix:   write cr.ForwardValue(2.0); operations are subclasses with func and grads""",
    ),
    "a local derivative too few": (
        lambda: _short(cr.ForwardValue(1.0), 2.0),
        cr.ArgumentError,
        """_short.grads must give one derivative per argument
  arguments:   2
  derivatives: 1
  where:       HERE
  fix:         return a tuple: (slope_first, slope_second, …)""",
    ),
    "a ForwardValue without methods": (
        lambda: type("empty", (cr.ForwardValue,), {})(1.0),
        cr.ArgumentError,
        """empty has no func
  where: HERE
  fix:   define func(self, *values) in the class""",
    ),
    "an operation that ForwardValue lacks": (
        lambda: np.arcsinh(cr.ForwardValue(1.0)),
        cr.UnsupportedError,
        """ForwardValue has no operation np.arcsinh
  operations: absolute, add, arctan, cos, divide, exp, expm1, log, log1p, maximum,
              minimum, multiply, negative, power, sin, sqrt, square, subtract, tan,
              tanh
  where:      HERE
  fix:        write it as a subclass of cr.ForwardValue, with func and grads""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_word_for_word(name):
    make, kind, text = CASES[name]
    with pytest.raises(kind) as caught:
        make()
    assert re.sub(r"(where: +)test_graph_messages\.py:.*", r"\1HERE", str(caught.value)) == text
