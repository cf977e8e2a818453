"""The GPU kernels. Importing this package does not import Triton; running something does."""
