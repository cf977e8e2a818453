"""Runs pytest once for every way in which this machine can round (docs/testing.md).

    python tests/variants.py -m numerical
    python tests/variants.py -m trajectory --draws 1,2,3,4,5

The ways are the instruction sets of the C++ kernels, with torch's own kernels held to the same, and the reference
backend. ``--draws`` repeats each with perturbed initial weights; 0 leaves them alone. With ``--shares 2`` each test
runs in every other way only, half of the tests in each. What is not known here is given to pytest. Exit code 1 if a
run failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from psinn_fast.kernels.cpu.extension import ISA_VARIABLE, instruction_sets

# What torch calls them; where it has no such name, it takes its best.
TORCH_NAMES = {"avx512": "avx512", "avx2": "avx2", "baseline": "default"}


def variants() -> dict[str, dict[str, str]]:
    """Environments by name; the C++ kernels may not have been built."""
    found = {
        isa: {ISA_VARIABLE: isa} | ({"ATEN_CPU_CAPABILITY": TORCH_NAMES[isa]} if isa in TORCH_NAMES else {})
        for isa in instruction_sets()
    }
    return {**found, "reference": {"PSINN_FAST_TEST_BACKEND": "reference"}}


def main() -> int:
    parser = argparse.ArgumentParser(description="pytest under every instruction set; other options are pytest's")
    parser.add_argument("-m", dest="mark", default="numerical", help="numerical or trajectory (default: %(default)s)")
    parser.add_argument("--draws", default="0", metavar="K,K", help="of the perturbation (default: 0, for none)")
    parser.add_argument("--shares", type=int, default=1, metavar="N", help="ways share the tests out (default: 1)")
    options, others = parser.parse_known_args()
    failures, lines = 0, []
    for number, (name, environment) in enumerate(variants().items()):
        share = f"{number % options.shares}/{options.shares}"
        for draw in options.draws.split(","):
            print(f"\n{name}, draw {draw}", flush=True)
            started = time.perf_counter()
            code = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-m", options.mark, *others],
                env={**os.environ, **environment, "PSINN_FAST_TEST_PERTURB": draw, "PSINN_FAST_TEST_SHARE": share},
                check=False,
            ).returncode
            failures += code != 0
            verdict = "passed" if code == 0 else f"FAILED (pytest's exit code {code})"
            lines.append(f"{name:10s} draw {draw}  {verdict}  {time.perf_counter() - started:.0f} s")
    print("", *lines, sep="\n")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
