"""Floor 5: programs made smaller and cheaper, meaning the same."""
