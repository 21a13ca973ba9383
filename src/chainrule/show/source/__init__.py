"""Programs as text: readable Python that runs with NumPy alone, and formulas in LaTeX.

One walk over a program (`writer.py`) decides what gets a name and what stands inside a larger
expression; how one operation is written stands in the tables of a language (`python/`, `latex/`),
one file per family of operations.
"""
