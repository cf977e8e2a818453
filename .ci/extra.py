"""Prints the requirements of an extra of the installed package: ``python .ci/extra.py dev``.

To install ``psinn_fast[dev]`` where ``psinn_fast`` is installed already would compile its kernels again.
"""

import sys
from importlib.metadata import requires

from packaging.requirements import Requirement

for requirement in map(Requirement, requires("psinn_fast") or ()):
    marker = requirement.marker
    if marker and marker.evaluate({"extra": sys.argv[1]}) and not marker.evaluate({"extra": ""}):
        requirement.marker = None
        print(requirement)
