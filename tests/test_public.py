"""The public surface: the promised names, and what importing them costs."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr

PROMISED = (
    "grad value_and_grad jvp vjp linearize jacfwd jacrev jacobian hessian hvp vmap checkpoint "
    "cond fori_loop scan while_loop stop_gradient custom_jvp custom_vjp finite_difference "
    "symbolic compare check_grads differentiability trace jit"
).split()

# Each takes long to import; users pay for it when they first use it.
LATE = ("sympy", "scipy", "rich", "click", "optree", "llvmlite", "sklearn", "hypothesis")


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_exist_and_explain_themselves(name):
    value = getattr(cr, name)
    assert callable(value)
    assert value.__doc__
    summary = value.__doc__.splitlines()[0]
    assert summary.endswith(".")
    assert len(summary) <= 80
    assert name in dir(cr)


@pytest.mark.parametrize("part", ["models", "nn", "optim", "train"])
def test_no_module_hides_a_public_name(part):
    """A file `train/split.py` would take the place of the function `cr.train.split`."""
    facade = getattr(cr, part)
    files = {path.stem for path in Path(facade.__file__).parent.glob("*.py")}
    hidden = files & set(facade.__all__) - set(getattr(facade, "_ROOMS", ()))
    for name in hidden:
        importlib.import_module(f"{facade.__name__}.{name}")
        assert not inspect.ismodule(getattr(facade, name)), name


def test_unknown_names_are_refused_as_python_does():
    with pytest.raises(AttributeError, match="has no attribute 'gard'"):
        cr.gard


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, chainrule as cr, numpy as np\n"
        "cr.grad(lambda x: np.sum(np.sin(x) ** 2))(np.ones(3))\n"
        f"print(*[name for name in {LATE!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
