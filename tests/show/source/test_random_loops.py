"""Random loops and choices as text: it keeps them as loops, and gives what the program gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

_BODY: dict[str, Any] = {
    "tanh": lambda c, x: np.tanh(c) + x,
    "times": lambda c, x: 0.5 * c * x,
    "choose": lambda c, x: np.where(c > x, c, 0.3 * x),
    "larger": lambda c, x: np.maximum(c, x) - 0.1,
    "root": lambda c, x: np.sqrt(1 + c * c) * 0.7 + x,
    "mean": lambda c, x: c - np.mean(c) + x[..., ::-1],
    "product": lambda c, x: np.tanh(np.outer(c, x) @ c),
    "cond": lambda c, x: cr.cond(np.sum(c) > 0, np.sin, lambda c: c * x, c),
    "inner": lambda c, x: cr.fori_loop(0, 2, lambda k, c: np.sin(c + k) + x, c),
}


def _step(names: list[str]) -> Any:
    def step(c: Any, x: Any) -> Any:
        for name in names:
            c = _BODY[name](c, x)
        return c

    return step


def _scan(step: Any, turns: int) -> Any:
    def f(c: Any, xs: Any) -> Any:
        last, all_of_them = cr.scan(lambda c, x: (step(c, x), np.sum(c * x)), c, xs)
        return np.sum(last) + np.sum(all_of_them**2)

    return f


def _fori(step: Any, turns: int) -> Any:
    return lambda c, xs: np.sum(cr.fori_loop(0, turns, lambda k, c: step(c, xs[0] + k), c))


def _while(step: Any, turns: int) -> Any:
    def f(c: Any, xs: Any) -> Any:
        def going_on(state: Any) -> Any:
            return (state[1] < turns) & (np.sum(state[0]) < 100.0)

        return np.sum(
            cr.while_loop(going_on, lambda s: (step(s[0], xs[1]), s[1] + 1), (c, np.asarray(0)))[0]
        )

    return f


@pytest.mark.parametrize("kind", [_scan, _fori, _while])
def test_the_text_keeps_the_loop_and_gives_the_numbers(kind):
    @given(
        st.lists(st.sampled_from(sorted(_BODY)), min_size=1, max_size=3),
        st.integers(2, 4),
        st.integers(0, 2**31),
    )
    def test(names, turns, seed):
        chance = np.random.default_rng(seed)
        c, xs = chance.normal(size=3), chance.normal(size=(turns, 3))
        f = kind(_step(names), turns)
        for g in (f, cr.grad(f, argnums=(0, 1))):
            text = cr.source(g, c, xs)
            assert "for " in text or "while " in text
            namespace: dict[str, Any] = {}
            exec(str(text), namespace)
            # At other values too: what decides in the loop isn't the path taken.
            for args in ((c, xs), (chance.normal(size=3), chance.normal(size=(turns, 3)))):
                found, wanted = namespace[text.name](*args, **text.arrays), g(*args)
                pairs = zip(found, wanted, strict=True) if g is not f else [(found, wanted)]
                for mine, his in pairs:
                    np.testing.assert_allclose(mine, his, rtol=1e-9, atol=1e-9, err_msg=text)

    test()
