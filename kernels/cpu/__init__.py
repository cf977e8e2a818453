"""The CPU backend: fused C++ kernels, compiled once per instruction set."""
