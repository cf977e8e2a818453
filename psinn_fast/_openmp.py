"""Torch's OpenMP threads wait for work spinning, for milliseconds by default, on cores that our own threads want then.

The runtime reads this as torch is loaded. docs/cpu.md has what it costs.
"""

import os
import sys

if "torch" not in sys.modules:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
