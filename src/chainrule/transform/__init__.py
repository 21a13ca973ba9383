"""Floor 4: derivatives and batching, each program in, program out."""
