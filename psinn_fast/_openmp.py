"""Torch's OpenMP threads wait for their next work spinning, for milliseconds by default, on cores that our own threads
want meanwhile: a Gauss-Newton iteration takes half as long again (docs/cpu.md). The runtime reads this as torch is loaded.
"""

import os
import sys

if "torch" not in sys.modules:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
