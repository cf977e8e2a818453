"""Which tile and how many warps: compiles the candidates, ranks them by estimated time, writes the best into the table.

    python -m bench.static.search "psi laplace" --chips 89 90            # prints the ranking
    python -m bench.static.search "psi laplace" --chips 90 --save        # and puts the best into configurations.json

The rank is the geometric mean of the estimates (`estimate.step`) at 10,201 and at 1,000,000 points. Spills cost their
instructions, so a candidate that spills can win; of those within 2 % of the best the one that spills least is taken.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from bench.options import at_least_one
from bench.section import Row, attempt
from psinn_fast.kernels.triton.configuration import PRECISIONS, SHIPPED, Entry, widest_block
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.networks.mlp import PsiMLP

from .cases import CASES, CHIPS, MAIN_CHIPS, QUICK, StaticCase
from .rows import measured
from .table import bound

BLOCKS, WARPS = (4, 8, 16, 32, 64), (1, 2, 4, 8)
# Numbers of one tensor of points x neurons that a thread may hold.
PER_THREAD = (2, 16)
# Products on tensor cores have at least 16 points.
LEAST_ON_TENSOR_CORES = 16
ABOUT_EQUAL = 1.02


def candidates(case: StaticCase) -> Iterator[tuple[int, int]]:
    """(points per tile, warps)."""
    least = LEAST_ON_TENSOR_CORES if case.kind != "ieee" else BLOCKS[0]
    width = widest_block(make_layout(PsiMLP(case.structure(), seed=0).plan, case.dtype))
    for block in BLOCKS:
        for warps in WARPS:
            if block >= least and PER_THREAD[0] <= block * width / (32 * warps) <= PER_THREAD[1]:
                yield block, warps


def row_of(number: int, chip: int, block: int, warps: int) -> Row:
    """The case goes by its number: some of them no other process could unpickle."""
    case = (*CASES, *QUICK)[number]
    head = {"case": case.name, "precision": case.kind, "chip": f"sm_{chip}", "block": block, "warps": warps}
    return attempt(head, lambda: measured(case, chip, Entry(block, warps, 1)))


def score(row: Row) -> float:
    """Microseconds; infinite where it failed or does not fit."""
    if "failure" in row:
        return math.inf
    estimates = [times.get("microseconds", math.inf) for times in row["estimates"].values()]
    return math.exp(sum(map(math.log, estimates)) / len(estimates))


def best(rows: Sequence[Row]) -> Row | None:
    """The lowest score; of those about as low, the fewest spills."""
    lowest = min(map(score, rows), default=math.inf)
    if math.isinf(lowest):
        return None
    near = [row for row in rows if score(row) <= ABOUT_EQUAL * lowest]
    return min(near, key=lambda row: (row["spill_bytes"], score(row)))


def save(row: Row) -> None:
    """As the chip's entry in the shipped table."""
    table = json.loads(SHIPPED.read_text(encoding="utf-8"))
    entry = {"block": row["block"], "warps": row["warps"], "per_processor": row["programs_per_processor"]}
    table.setdefault(row["chip"], {})[row["signature"]] = entry
    SHIPPED.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def line(row: Row) -> str:
    start = f"{row['case']:28}{row['precision']:9}{row['chip']:8}{row['block']:>3} points {row['warps']} warps"
    if "failure" in row:
        return f"{start}  FAILED"
    return (
        f"{start}{row['registers']:>5} registers{row['spill_bytes']:>6} B spilled"
        f"{bound(row):>8.0f} cycles a point by {row['binding']}, score{score(row):>7.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 if nothing fitted somewhere."""
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = options.precision, options.problem
    numbers = [
        number
        for number, case in enumerate((*CASES, *QUICK))
        if case.name in options.cases and (case.kind, case.problem) == wanted
    ]
    if not numbers:
        parser.error(f"none of these cases is of {options.precision!r} and of the problem {options.problem!r}")
    failed = False
    for number in numbers:
        case = (*CASES, *QUICK)[number]
        for chip in options.chips:
            jobs = [(number, chip, *candidate) for candidate in candidates(case)]
            with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
                rows = sorted(pool.map(row_of, *zip(*jobs, strict=True)), key=score)
            print(*map(line, rows), sep="\n")
            found = best(rows)
            if found is None:
                failed = True
                print(f"{case.name}: nothing fits on sm_{chip}", file=sys.stderr)
                continue
            print(f"best: {found['block']} points, {found['warps']} warps\n", flush=True)
            if options.save:
                save(found)
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.static.search", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", choices=sorted({case.name for case in (*CASES, *QUICK)}), metavar="case")
    parser.add_argument("--chips", type=int, nargs="+", choices=CHIPS, default=list(MAIN_CHIPS))
    parser.add_argument("--precision", choices=(*PRECISIONS, "float64"), default="ieee")
    parser.add_argument("--problem", default="laplace", help="of the case, where several are compiled with its network")
    parser.add_argument("--jobs", type=at_least_one, default=2, help="compilations at a time")
    parser.add_argument("--save", action="store_true", help="into kernels/triton/configurations.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
