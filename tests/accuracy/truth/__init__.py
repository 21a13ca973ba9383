"""The true results of operations, by straightforward definitions in exact or very long numbers."""
