"""Names read from bytecode, on this Python and on every other one that is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from chainrule.base import bytecode

# Run under each Python: the module that is tested, then values that ask what becomes of them.
ASKING = """
import sys

class Asks:
    def _ask(self, *others):
        frame = sys._getframe(1)
        LOG.append(destination(frame.f_code, frame.f_lasti))
        return Asks()
    __mul__ = __rmul__ = __add__ = __call__ = method = _ask
    def __iter__(self):
        return iter((Asks(), Asks()))

LOG = []

def told(f):
    LOG.clear()
    f(Asks(), Asks())
    return list(LOG)

def plain(x, z):
    a = x * z
    b = a.method()
    c = x(1, 2)
    return b * c

def unpacked(x, z):
    a, b = x * z, z * x
    c, d, e = x * z, z * x, x * x
    f, g, h, i = x * z, z * x, x * x, z * z
    p, q = x * z

def elsewhere(x, z):
    a = x * z if x else z
    x += z * z
    x.h = x * z
    a = b = x * z
    (c := x * z) * z
    [x * z for _ in range(1)]
    return (x * z) * z

def cells(x, z):
    a = x * z
    def g():
        return a
    global KEPT
    KEPT = x * z
    y = a
    return z

def looped(x, z):
    for n in range(2):
        x = x * z
    for i, j in [(1, 2)]:
        while True:
            z = x * z
            break
    return x

print(told(plain))
print(told(unpacked))
print(told(elsewhere))
print(told(cells))
print(told(looped))
print([loop.name for loop in loops(looped.__code__)][:2])
"""
WANTED = """
[('a',), ('b',), ('c',), ('return',)]
[('a',), ('b',), ('c',), ('d',), ('e',), ('f',), ('g',), ('h',), ('i',), ('p', 'q')]
[('a',), (), ('x',), ('h',), ('a',), ('c',), (), (), (), ('return',)]
[('a',), ('KEPT',)]
[('x',), ('x',), ('z',)]
['for n', 'for i, j']
"""
VERSIONS = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")


def told_by(python: str) -> str:
    with open(bytecode.__file__) as file:
        text = file.read() + ASKING
    done = subprocess.run([python, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_on_this_python():
    assert told_by(sys.executable).strip() == WANTED.strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_names_on_other_pythons(version):
    python = shutil.which(version)
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"{version} is not installed")
    assert told_by(python).strip() == WANTED.strip()
