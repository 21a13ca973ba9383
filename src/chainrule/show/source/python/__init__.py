"""Python with NumPy: how each operation is written, one file per family."""
