"""Floor 0: errors, the user's place, trees."""
