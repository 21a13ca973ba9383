"""Plots: each gives its numbers with its picture, in one style, on light paper and on dark."""
