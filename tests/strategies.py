"""What hypothesis draws in several test files; helpers.py does without hypothesis."""

from __future__ import annotations

from helpers import random_structure
from hypothesis import strategies as st

structures = st.builds(
    random_structure,
    seed=st.integers(0, 10_000),
    n_inputs=st.integers(1, 4),
    n_outputs=st.integers(1, 3),
    n_layers=st.integers(1, 4),
)
