"""Floor 7: loops as text for a compiler."""
