"""Tanh networks, their structures (which weights are tied), and exact derivatives of them."""
