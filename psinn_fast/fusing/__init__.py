"""A user's own loss in PyTorch, recorded once and computed by the fused kernels from then on."""
