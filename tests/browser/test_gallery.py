"""The gallery's pages in a real browser: each steps to its end and has the lectures' numbers."""

from __future__ import annotations

import numpy as np
import pytest
from gallery.listing import CASES

pytest.importorskip("pygraphviz", reason="the layout library isn't installed")


def numbers(group, kind):
    text = group.get_attribute(f"data-{kind}")
    return [float(x) for x in text.replace("[", " ").replace("]", " ").replace(",", " ").split()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_steps_to_its_end(visit, tmp_path, case):
    graph = case.graph()
    case.save(graph, tmp_path)
    page = visit(tmp_path / f"{case.name}.html")
    page.keyboard.press("End")
    assert page.locator("#canvas svg").is_visible()
    if case.folded:
        assert page.locator("#canvas [data-box]").count() > 0
        return
    [output] = graph.outputs
    [group] = page.locator(f'#canvas [data-node="{output.index}"][data-value]').all()
    np.testing.assert_allclose(numbers(group, "value"), np.ravel(case.value), rtol=1e-13)
    for node, exact in zip(graph.inputs, case.gradient, strict=True):
        [group] = page.locator(f'#canvas [data-node="{node.index}"][data-gradient]').all()
        np.testing.assert_allclose(
            numbers(group, "gradient"), np.ravel(exact), rtol=1e-12, atol=1e-15, err_msg=node.name
        )
