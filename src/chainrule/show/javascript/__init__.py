"""A program as JavaScript text, from the same lowered values that become machine code."""
