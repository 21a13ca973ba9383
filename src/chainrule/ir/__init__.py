"""Floor 1: types, the primitive record, programs."""
