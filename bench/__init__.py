"""Benchmarks: our training step against the same step written by other means. See README.md."""
