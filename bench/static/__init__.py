"""What the Triton kernels cost, found without a GPU: ``python -m bench.static``. See ../README.md."""
