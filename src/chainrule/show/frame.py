"""A page inside another one, as notebooks show it."""

from __future__ import annotations

import html


def framed(text: str, height: int = 620) -> str:
    """A page as an element that nothing gets out of or into: several of them never meet."""
    return (
        f'<iframe srcdoc="{html.escape(text)}" sandbox="allow-scripts" loading="lazy"'
        f' title="computation graph" width="100%" height="{height}" style="border: 0"></iframe>'
    )
