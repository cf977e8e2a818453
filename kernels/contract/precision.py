"""Of which precision products of float32 numbers are: what may be asked for, and what torch's own are.

What is asked for is at most that coarse: who has no coarser products than true float32 takes these. float64 networks
multiply in float64.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ..errors import InputError, short

IEEE = "ieee"
OFFERED = (IEEE, "tf32x3")
# From the finest to the coarsest: true float32; three products of tensor cores in place of one; one of these, with ten
# bits; with seven.
PRECISIONS = (*OFFERED, "tf32", "bf16")


def check_precision(value: object, dtype: torch.dtype | None = None, other: str = "") -> str:
    """What was asked for; ``dtype``: of the products; ``other`` says what else the argument may be.

    Raises:
        InputError: anything but the names in `OFFERED`; one that has no meaning for products of the dtype.
    """
    if not isinstance(value, str) or value not in OFFERED:
        raise InputError(f"precision: expected {other}one of {list(OFFERED)}, got {short(value)}{_advice(value)}")
    if value != IEEE and dtype == torch.float64:
        raise InputError(
            f"precision: {value!r} is of products in float32, and these are in float64; leave precision out, or take "
            "dtype='float32'"
        )
    return str(value)


def _advice(value: object) -> str:
    if isinstance(value, str) and value.lower() in OFFERED:
        return f"; write {value.lower()!r}"
    if isinstance(value, str) and value.lower() == "tf32":
        return "; with ten bits training fails silently, 'tf32x3' puts three such products together"
    if str(value).removeprefix("torch.") in ("float32", "float64"):
        return "; that of numbers is dtype, that of Gauss-Newton's Jacobian pf.Tuning(precision=...)"
    return ""


def torch_products(dtype: torch.dtype, device: torch.device) -> str:
    """Those of torch's own operations, as its user has set them (`torch.backends.cuda.matmul.allow_tf32`)."""
    if dtype == torch.float64:
        return IEEE
    own = torch.backends.cuda.matmul if device.type == "cuda" else torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    found = str(own.fp32_precision)
    return found if found in PRECISIONS else IEEE


def coarsest(found: Iterable[str]) -> str:
    """Of several precisions; of none `IEEE`."""
    return max(found, key=PRECISIONS.index, default=IEEE)
