"""Floor 8: running programs."""
