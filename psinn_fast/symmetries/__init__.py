"""Symmetries that problems, structures and functions have: found by comparing values, without any training."""
