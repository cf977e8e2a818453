"""Optimisers that the trainer runs: first-order ones, L-BFGS, self-scaled Broyden, any of torch.optim, Gauss-Newton."""
