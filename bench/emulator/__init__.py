"""Runs compiled Triton kernels, their PTX, on the CPU: ``python -m bench.emulator``. See README.md."""
