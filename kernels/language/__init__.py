"""What kernels are asked to compute: derivative channels, residual programs, weight penalties."""
