"""The language of residual functions: from a Python function of symbolic fields to a `Program` for the kernels."""
