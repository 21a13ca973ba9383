"""What code reads by name, against what `dis` says of it."""

import ast
import dis
import inspect
import json
import tokenize
from types import CodeType, FunctionType

import pytest

from chainrule.run.reach import reads

FUNCTIONS = [
    f
    for module in (ast, dis, inspect, json.decoder, tokenize)
    for f in vars(module).values()
    if isinstance(f, FunctionType)
]


def said_by_dis(code):
    found, imports, todo = [], [], [code]
    while todo:
        piece = todo.pop()
        for step in dis.get_instructions(piece):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                found.append(step.argval)
            elif step.opname == "IMPORT_NAME":
                imports.append(step.argval)
        todo += [part for part in piece.co_consts if isinstance(part, CodeType)]
    return list(dict.fromkeys(found)), list(dict.fromkeys(imports))


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_reads_what_dis_says(f):
    read = reads(f.__code__)
    assert (list(read.globals), list(read.imports)) == said_by_dis(f.__code__)


def test_names_beyond_one_byte():
    names = [f"name{k}" for k in range(700)]
    code = compile("\n".join(["def f():", *(f"    {name}" for name in names)]), "many", "exec")
    inner = next(part for part in code.co_consts if isinstance(part, CodeType))
    assert reads(inner).globals == tuple(names)
