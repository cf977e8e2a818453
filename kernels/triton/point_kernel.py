"""The kernel that does all work on points: its source, its weights' index, its launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ..compiling import say_compiling
from ..language.channels import ChannelSet
from ..language.program import Program
from .configuration import Configuration, lanes, widest_block
from .emission import CONSTANTS, EXTRA_ARGUMENTS, GroupSource, Mode
from .layout import Layout
from .modules import module_of
from .naming import kernel_name
from .writer import USUAL, Scheme

# Addresses that Triton compiles for are multiples of it, or any.
ALIGNED = 16
HEADER = """import triton
import triton.language as tl
from psinn_fast.kernels.triton.functions import atan, cos, cosh, dot, erf, exp, folded, gather, gather_one, nothing
from psinn_fast.kernels.triton.functions import planes, power, sigmoid, sign, sin, sinh, softplus, sqrt, tanh, walsh
"""

# Of shared memory, for all tiles and their transposed ones; the rest is for activations. A GeForce card has 99 KB.
MOST_TILE_BYTES = 64 * 1024
# Registers of a multiprocessor; neurons in a block from which on their use is limited.
REGISTERS, WIDE = 65536, 64


@dataclass(frozen=True)
class Gather:
    """y[i] = sum over k of factors[k, i] * x[rows[k, i]]: a sparse matrix with equally many entries in all rows."""

    rows: Tensor
    factors: Tensor

    @classmethod
    def of(cls, matrix: scipy.sparse.csr_array, like: Tensor) -> Gather:
        matrix = matrix.tocsr()
        counts = np.diff(matrix.indptr)
        row = np.repeat(np.arange(matrix.shape[0]), counts)
        k = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], counts)
        terms = max(1, int(counts.max(initial=0)))
        rows, factors = np.zeros((terms, matrix.shape[0]), np.int32), np.zeros((terms, matrix.shape[0]))
        rows[k, row], factors[k, row] = matrix.indices, matrix.data
        return cls(
            torch.from_numpy(rows).to(like.device),
            torch.from_numpy(factors).to(like.device, like.dtype),
        )

    @property
    def terms(self) -> int:
        return self.rows.shape[0]

    def apply(self, x: Tensor) -> Tensor:
        """Along the last axis, in a fixed order."""
        total = x[..., self.rows[0]] * self.factors[0]
        for rows, factors in zip(self.rows[1:], self.factors[1:], strict=True):
            total += x[..., rows] * factors
        return total


class Weights:
    """A layout's matrix on a device: ``gather`` makes packed from its source, ``back`` the way back.

    ``scatter``: for each number of source, where it stands in ``tiles``, and with which factor.
    """

    def __init__(self, layout: Layout, like: Tensor) -> None:
        self.gather = Gather.of(layout.matrix, like)
        self.back = Gather.of(layout.matrix.T.tocsr(), like)
        own = Gather.of(layout.matrix[[*layout.tiles, *layout.turned]], like)
        self._sources, self._factors = own.rows.ravel(), own.factors.ravel()
        self._is_copy = bool((self._factors == 1).all())
        entries = self._factors.cpu().numpy(), (np.arange(self._factors.numel()), self._sources.cpu().numpy())
        terms = scipy.sparse.csr_array(entries, (self._factors.numel(), layout.matrix.shape[1]))
        terms.eliminate_zeros()
        self.scatter = Gather.of(terms.T.tocsr(), like)

    def tiles(self, source: Tensor) -> Tensor:
        """The products' tiles, one behind the other, and once more with each of them transposed.

        All this ``layout.tile_terms`` times: a number that is a sum of several of the source is cut into its terms, so
        that whoever changes one of the source need not know the others.
        """
        if not self._sources.numel():
            return source.new_zeros(1)  # a pointer is needed even where nothing is read
        found = source.new_empty(self._sources.numel())
        self.write_tiles(source, found)
        return found

    def write_tiles(self, source: Tensor, out: Tensor) -> None:
        """`tiles` into a tensor that is there: one copy, and a product where any factor is not 1."""
        if not self._sources.numel():
            return
        torch.index_select(source, 0, self._sources, out=out)
        if not self._is_copy:
            out *= self._factors


def scheme_of(layout: Layout, dtype: torch.dtype, precision: str) -> Scheme:
    """How products are written: on tensor cores a point's channels would lie in different threads."""
    is_stacked = precision == "ieee" and dtype == torch.float32
    return Scheme(is_stacked, are_kept(len(layout.tiles) * dtype.itemsize, dtype, precision))


def are_kept(tile_bytes: int, dtype: torch.dtype, precision: str) -> bool:
    """Whether shared memory has room for all tiles, and for their transposed ones."""
    parts = 2 if precision == "tf32x3" and dtype == torch.float32 else 1
    return 2 * parts * tile_bytes <= MOST_TILE_BYTES


def kernel_source(
    layout: Layout,
    groups: Sequence[tuple[ChannelSet, Program | None]],
    mode: Mode,
    n_unknown: int,
    terms_per_entry: int,
    need_x: bool = False,
    scheme: Scheme = USUAL,
) -> str:
    """The text of a module with one kernel, `kernel_name`, which sends each program of the grid to its group."""
    common = n_unknown, terms_per_entry, need_x, scheme
    functions = [
        GroupSource(f"group_{k}", layout, channels, mode, program, *common).text()
        for k, (channels, program) in enumerate(groups)
    ]
    extra = EXTRA_ARGUMENTS[mode]
    own = [f"{name}_{k}" for k in range(len(groups)) for name in ("points", "columns", "n_total")]
    weights = ["source", "index", "coefficient", "tiles", "unknown"]
    arguments = [*weights, "partials", "table", "factors", "state", *own, *extra]
    constants = [f"{name}: tl.constexpr" for name in (*CONSTANTS, "ROW", "COUNTS")]
    lines = [
        f"def {kernel_name(layout, groups, mode)}({', '.join([*arguments, *constants])}):",
        "    pid = tl.program_id(0)",
        "    if COUNTS:",
        "        # The second kernel of the step reads what is counted here; nobody else does.",
        "        if pid == 0:",
        "            if tl.load(state + 1) < 0:",
        "                tl.store(state, tl.load(state) + 1)",
        "    group = tl.load(table + pid * 3)",
        "    begin = tl.load(table + pid * 3 + 1)",
        "    end = tl.load(table + pid * 3 + 2)",
        "    factor = tl.load(factors + pid)",
        "    partial = partials + pid.to(tl.int64) * ROW",
    ]
    for k in range(len(groups)):
        shared = ["begin", "end", "factor", "partial", *extra, *CONSTANTS]
        own_call = [f"points_{k}", f"columns_{k}", f"n_total_{k}"]
        call = ", ".join([*weights, *own_call, *shared])
        lines.append(f"    {'if' if k == 0 else 'elif'} group == {k}:")
        lines.append(f"        group_{k}({call})")
    # Other numbers of points are no other kernel: Triton would compile those anew that are 1, or multiples of 16.
    counts = [f"n_total_{k}" for k in range(len(groups))]
    return "\n".join([HEADER, "", *functions, "", f"@triton.jit(do_not_specialize={counts!r})", *lines, ""])


# What was launched in this process: functions, which live as long as it anyway (`module_of`), with their constants.
_KNOWN: set[tuple[Any, ...]] = set()


def _announce(kernel: tuple[Any, ...]) -> None:
    """Triton compiles at the first launch, unless it finds the kernel in its cache."""
    if kernel not in _KNOWN:
        _KNOWN.add(kernel)
        say_compiling()


class PointKernel:
    """One operation on one network: source, and launches with given tensors."""

    def __init__(
        self,
        layout: Layout,
        weights: Weights,
        groups: Sequence[tuple[ChannelSet, Program | None]],
        mode: Mode,
        n_unknown: int,
        configuration: Configuration,
        need_x: bool = False,
    ) -> None:
        scheme = scheme_of(layout, weights.gather.factors.dtype, configuration.precision)
        self.text = kernel_source(layout, groups, mode, n_unknown, weights.gather.terms, need_x, scheme)
        self.name = kernel_name(layout, groups, mode)
        self.function = getattr(module_of(self.text), self.name)
        self._weights, self._configuration, self._is_known = weights, configuration, False
        self.row = layout.n_packed + n_unknown + 1
        size = weights.gather.factors.element_size()
        # In training they lie behind the weights.
        self.has_odd_unknown = n_unknown > 0 and layout.plan.n_parameters * size % ALIGNED != 0
        self._constants: dict[str, Any] = {
            "BLOCK": configuration.block,
            "LANES": lanes(layout, configuration),
            "PRECISION": configuration.precision,
            "ROW": self.row,
        }
        # Without a limit ptxas takes 32 registers for some wide kernels, and spills 12 KB a thread.
        most = {"maxnreg": min(255, REGISTERS // (32 * configuration.warps))} if widest_block(layout) >= WIDE else {}
        self.options: dict[str, Any] = {"num_warps": configuration.warps, "num_stages": 1, **most}

    def signature(self, number: str) -> tuple[dict[str, str], dict[str, Any]]:
        """(Triton's type of every argument, values of the constants); ``number``: the type of tensors, "fp32"."""
        constants = self._constants | {"COUNTS": True}
        special = {"index": "*i32", "table": "*i32", "state": "*i64"}
        names = [name for name in self.function.arg_names if name not in constants]
        types = {name: "i32" if name.startswith("n_total") else special.get(name, f"*{number}") for name in names}
        return types | dict.fromkeys(constants, "constexpr"), constants

    def __call__(
        self,
        source: Tensor,
        tiles: Tensor,
        unknown: Tensor,
        partials: Tensor,
        table: Tensor,
        factors: Tensor,
        state: Tensor,
        data: Sequence[tuple[Tensor, Tensor, int]],
        extra: Sequence[Tensor] = (),
        counts: bool = False,
    ) -> None:
        """``tiles``: of the source, see `Weights`; ``data``: (points, columns, number of points) of every group."""
        if not self._is_known:
            _announce(
                (self.function, *self._constants.values(), self._configuration.warps, source.dtype, source.device)
            )
            self._is_known = True
        own: list[Any] = [value for group in data for value in group]
        gather = self._weights.gather
        self.function[(table.shape[0],)](
            source, gather.rows, gather.factors, tiles, unknown, partials, table, factors, state, *own, *extra,
            **self._constants, COUNTS=counts, **self.options,
        )  # fmt: skip
