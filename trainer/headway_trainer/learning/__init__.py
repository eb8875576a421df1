"""What teaches the networks: the loop with its optimiser, the losses, the grid of int8 training."""
