"""Files of tensors: safetensors with JSON in the header and a checksum over both. Nothing here unpickles.

safetensors is imported where files are: training that saves nothing does without it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from ..kernels.errors import CheckpointError, InputError, one_line, short
from .files import MOST_TEXT, BadJson, from_json, open_regular, to_json, write_atomically

# The one entry of safetensors' metadata, since several come in an order of their own in each process.
_HEADER = "psinn_fast"
# As safetensors names them.
_DTYPES = {"F32": torch.float32, "F64": torch.float64}
FLOATING = tuple(_DTYPES.values())


def write_tensors(path: str | Path, schema: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Atomic: a reader finds the old file or the new one, never half of one. Equal contents make equal bytes.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.torch import save

    contents = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = to_json({"schema": schema, **header}, indent=None)
    if len(text) > MOST_TEXT:
        raise OSError(f"its header has {len(text)} characters, and only {MOST_TEXT} could be read again")
    write_atomically(path, save(contents, metadata(text, contents)))


class TensorFile:
    """``with TensorFile(path, schema) as file``: the header at once, tensors when their shape is known and right.

    Errors about entries that are raised in the block become a `CheckpointError` with the file's name.

    Raises:
        CheckpointError: not readable, not one of ours, or of another schema.
    """

    def __init__(self, path: str | Path, schema: str) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = path
        self._taken: dict[str, Tensor] = {}
        try:
            _check_size_of_header(path)
            file: Any = safe_open(path, framework="pt")
            found: str | None = (file.metadata() or {}).get(_HEADER)
            self._shapes = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (OSError, MemoryError, SafetensorError) as error:  # MemoryError: the file is mapped, whole
            raise CheckpointError(f"{path}: cannot be read ({one_line(error)})") from None
        self._file = file
        self._sum, _, self._text = (found or "").partition(" ")
        try:
            header = from_json(self._text or "null")
        except BadJson as error:
            raise CheckpointError(f"{path}: its header: {error}") from None
        own = header.get("schema") if isinstance(header, dict) else None
        if own != schema:
            what = "no psinn_fast header" if found is None else short(own)
            raise CheckpointError(f"{path}: expected a file of schema {schema!r}, got {what}")
        del header["schema"]
        self.header: dict[str, Any] = header

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)
        if isinstance(error, (CheckpointError, InputError)):
            raise CheckpointError(f"{self._path}: {error}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def take(
        self,
        name: str,
        shape: tuple[int | None, ...] | None,
        dtypes: tuple[torch.dtype, ...] = FLOATING,
        finite: bool = True,
    ) -> Tensor:
        """One tensor, of the shape (None: any, or any size), of one of the dtypes and, if so asked, of finite numbers.

        Raises:
            CheckpointError: it is missing, or not like that.
        """
        if name not in self:
            raise CheckpointError(f"damaged, the tensor {name!r} is missing")
        found = tuple(self._shapes[name].get_shape())
        if shape is not None and (
            len(found) != len(shape) or any(want not in (None, n) for want, n in zip(shape, found, strict=True))
        ):
            wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," * (len(shape) == 1)) + ")"
            raise CheckpointError(f"{name}: expected shape {wanted}, got {found}")
        dtype = self._shapes[name].get_dtype()
        if _DTYPES.get(dtype) not in dtypes:
            wanted = " or ".join(str(d).removeprefix("torch.") for d in dtypes)
            raise CheckpointError(f"{name}: expected numbers of type {wanted}, got {dtype}")
        # A copy: the file is mapped into memory, and may be cut short by someone else.
        tensor: Tensor = self._file.get_tensor(name).clone()
        if finite and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(f"{name}: {bad} of its {tensor.numel()} numbers are NaN or infinite")
        self._taken[name] = tensor
        return tensor

    def check(self) -> None:
        """All that is in the file is what was written, whatever it is.

        Raises:
            CheckpointError: it is not.
        """
        self._taken |= {name: self._file.get_tensor(name) for name in self._shapes}
        self.finish()

    def finish(self) -> None:
        """All tensors are taken, and they and the header are what was written.

        Raises:
            CheckpointError: they are not.
        """
        unknown = [name for name in self._shapes if name not in self._taken]
        if unknown:
            raise CheckpointError(f"damaged, it has the unknown tensors {short(unknown)}")
        if self._sum != _checksum(self._text, self._taken):
            raise CheckpointError("damaged, its contents do not have the checksum that was written")


def _check_size_of_header(path: str | Path) -> None:
    """safetensors reads 100 MB of header, which may take gigabytes."""
    descriptor = open_regular(path)
    try:
        size = int.from_bytes(os.read(descriptor, 8), "little")
    finally:
        os.close(descriptor)
    if size > 2 * MOST_TEXT:  # quotation marks within JSON within JSON take two characters
        raise OSError(f"its header claims {size} bytes, more than {2 * MOST_TEXT}")


def metadata(text: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """As safetensors keeps it: the checksum, a space, and the header."""
    return {_HEADER: f"{_checksum(text, tensors)} {text}"}


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
