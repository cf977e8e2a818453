"""Optimisers that the trainer runs: first-order ones, L-BFGS, any of torch.optim, Gauss-Newton."""
