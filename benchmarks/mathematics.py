"""Functions of `chainrule.loops.mathematics` beside NumPy's and SciPy's: time of one element.

    python -m benchmarks.mathematics [name …]

Arrays of 1024 elements, which stay in the first cache: it is the arithmetic that is measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from benchmarks.vector_loop import Loops
from chainrule.loops.mathematics import BOUNDS, DEFINITIONS
from chainrule.loops.scalar import numpy_type

COUNT = 1024
# Between which numbers each function is asked.
RANGES = {
    "log": (0.1, 10), "log2": (0.1, 10), "log10": (0.1, 10), "log1p": (-0.9, 5),
    "arcsin": (-1, 1), "arccos": (-1, 1), "arctanh": (-1, 1), "arccosh": (1, 9),
    "power": (0.1, 8), "xlogy": (0.1, 8), "xlog1py": (0.1, 8),
    "gammaln": (0.1, 20), "gamma": (0.1, 20), "digamma": (0.1, 20),
    "fmod": (0.1, 8), "remainder": (0.1, 8), "floor_divide": (0.1, 8),
}  # fmt: skip


def softplus(x: Any, out: Any) -> Any:
    return np.logaddexp(0, x, out=out)


def theirs(name: str) -> Callable[..., Any]:
    """NumPy's function, or SciPy's."""
    if name == "softplus":
        return softplus
    return getattr(np, name, None) or getattr(special, name)


def least(run: Callable[[], Any], rounds: int = 30) -> float:
    """Nanoseconds for an element, of the quickest of many rounds of 100 times."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best / COUNT / 100 * 1e9


def main(names: list[str]) -> None:
    names = names or list(BOUNDS)
    arity = {name: DEFINITIONS[name].__code__.co_argcount for name in names}
    loops = Loops([(name, kind, arity[name]) for name in names for kind in ("f64", "f32")])
    rng = np.random.default_rng(0)
    print(f"{'ns/element':14}{'f64':>7}{'theirs':>8}{'f32':>7}{'theirs':>8}")
    for name in names:
        line = f"{name:14}"
        for kind in ("f64", "f32"):
            low, high = RANGES.get(name, (-8, 8))
            arrays = [
                rng.uniform(low, high, COUNT).astype(numpy_type(kind)) for _ in range(arity[name])
            ]
            run = loops.runner(name, kind, arrays)
            out = np.empty_like(arrays[0])
            function = theirs(name)

            def other(function=function, arrays=arrays, out=out) -> None:
                for _ in range(100):
                    function(*arrays, out=out)

            line += f"{least(lambda run=run: run(100)):7.2f}{least(other):8.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
