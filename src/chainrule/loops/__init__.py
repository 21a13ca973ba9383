"""Floor 6: programs as loops over a small closed set of scalar operations."""
