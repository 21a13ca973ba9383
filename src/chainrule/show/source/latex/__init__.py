"""LaTeX: how each operation is written as mathematics."""
