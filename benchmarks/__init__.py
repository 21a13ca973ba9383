"""Ours, the peers that are installed, the limit, and the ratios: `python -m benchmarks`."""
