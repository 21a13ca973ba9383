"""Floor 2: a user's plain NumPy calls become equations."""
