"""States of torch's optimisers and schedules as JSON and tensors, without pickle; their settings as plain values."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ...kernels.errors import CheckpointError, short
from ..identity import digest_of

# Steps at which functions of a schedule are compared: all of the first, then ever fewer.
_STEPS = (0, *np.unique(np.geomspace(1, 1e5, 200).astype(int)).tolist())
_LARGEST_TENSOR = 64
_DEEPEST = 3
# What a schedule counts and computes as it goes, which is no setting.
_COUNTED = (
    "optimizer", "last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step", "_is_initial", "_scale_fn_ref",
)  # fmt: skip


def encoded(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A state as JSON; its tensors go to ``tensors``, under their place, and are named where they were.

    What neither can hold is replaced by the name of its class (`lost`).
    """
    match value:
        case Tensor():
            tensors[name] = value.detach().clone()  # a state may have one tensor twice, a file may not
            return {"tensor": name}
        case dict() if all(isinstance(key, str) or type(key) is int for key in value):
            return {"items": [[key, encoded(own, f"{name}.{key}", tensors)] for key, own in value.items()]}
        case list() | tuple() if type(value) in (list, tuple):
            return {type(value).__name__: [encoded(own, f"{name}.{i}", tensors) for i, own in enumerate(value)]}
        case float() if not math.isfinite(value):
            return {"float": repr(float(value))}
        case None | bool() | int() | float() | str():
            return {"value": value}
    return {"lost": [name, type(value).__name__]}


def names(value: Any) -> Iterator[str]:
    """Of the tensors that an encoded state has."""
    match value:
        case {"tensor": str(name)}:
            yield name
        case {"items": [*pairs]}:
            for pair in pairs:
                yield from names(pair[1] if isinstance(pair, list) and len(pair) == 2 else None)
        case {"list": [*members]} | {"tuple": [*members]}:
            for member in members:
                yield from names(member)


def lost(value: Any) -> Iterator[str]:
    """What an encoded state could not hold, and where."""
    match value:
        case {"lost": [name, kind]}:
            yield f"{name}, a {kind}"
        case {"items": pairs}:
            for _, own in pairs:
                yield from lost(own)
        case {"list": members} | {"tuple": members}:
            for member in members:
                yield from lost(member)


def decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state of which this is the encoding.

    Raises:
        CheckpointError: it is none, or something of it is lost.
    """
    match value:
        case {"tensor": str(name), **more} if not more and name in tensors:
            return tensors[name]
        case {"items": [*pairs], **more} if not more:
            return {_key(pair): decoded(pair[1], tensors) for pair in pairs}
        case {"list": [*members], **more} if not more:
            return [decoded(own, tensors) for own in members]
        case {"tuple": [*members], **more} if not more:
            return tuple(decoded(own, tensors) for own in members)
        case {"float": "inf" | "-inf" | "nan" as text, **more} if not more:
            return float(text)
        case {"value": None | bool() | int() | float() | str() as plain, **more} if not more:
            return plain
        case {"lost": [str(name), str(kind)]}:
            raise CheckpointError(f"{short(name)}: a {short(kind)} was not saved")
    raise CheckpointError(f"no state: {short(value)}")


def fitted(where: str, value: Any, like: Any) -> Any:
    """A decoded value, of the classes of ``like``, which a new run has there.

    Raises:
        CheckpointError: it is of another kind, or has other entries.
    """
    if isinstance(like, dict) and isinstance(value, dict):
        for key in {**value, **like}:
            if key not in value or key not in like:
                verb = "is missing" if key in like else "is not known"
                raise CheckpointError(f"{where}: the entry {short(key)} {verb}")
        found = copy.copy(like)  # a Counter, for instance
        for key, own in value.items():
            found[key] = fitted(f"{where}.{key}", own, like[key])
        return found
    if isinstance(like, (list, tuple)) and isinstance(value, (list, tuple)):
        if like and len(value) != len(like):
            raise CheckpointError(f"{where}: expected {len(like)} entries, got {len(value)}")
        if like:
            pairs = enumerate(zip(value, like, strict=True))
            value = [fitted(f"{where}.{i}", own, other) for i, (own, other) in pairs]
        return type(like)(value)
    if like is None or _is_of_kind(value, like):
        return value
    wanted = f"a tensor {tuple(like.shape)}" if isinstance(like, Tensor) else f"{_KINDS.get(type(like), 'entries')}"
    raise CheckpointError(f"{where}: expected {wanted}, got {short(value)}")


_KINDS: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a text"}


def _is_of_kind(value: Any, like: Any) -> bool:
    if isinstance(like, Tensor):
        return isinstance(value, Tensor) and value.shape == like.shape
    if isinstance(like, (bool, str)):
        return isinstance(value, type(like))
    return isinstance(like, (int, float)) and isinstance(value, (int, float)) and not isinstance(value, bool)


def with_dtypes(loaded: Any, saved: Any) -> Any:
    """A state as torch loaded it, tensors with the dtypes that were saved: torch turns all into the parameters'."""
    if isinstance(loaded, Tensor) and isinstance(saved, Tensor):
        return loaded if loaded.dtype == saved.dtype else saved.to(loaded.device, copy=True)
    if isinstance(loaded, dict) and isinstance(saved, dict):
        return {key: with_dtypes(own, saved.get(key)) for key, own in loaded.items()}
    if type(loaded) is type(saved) is list and len(loaded) == len(saved):
        return [with_dtypes(own, other) for own, other in zip(loaded, saved, strict=True)]
    return loaded


def _key(pair: Any) -> str | int:
    match pair:
        case [str() | int() as key, _]:
            return key
    raise CheckpointError(f"no entry of a state: {short(pair)}")


def optimizer_settings(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    """Class, own attributes and groups of an optimiser as it was made; ``parameters``: by name."""
    known = {id(tensor): name for name, tensor in parameters.items()}
    own = {k: v for k, v in vars(optimizer).items() if k not in ("defaults", "state", "param_groups")}
    groups = [
        {"parameters": [known[id(p)] for p in group["params"]]}
        | {key: described(value) for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    others = {f"group {number}": group for number, group in enumerate(groups[1:], 2)}
    return {"class": type(optimizer).__name__, **_public(own, _DEEPEST), **groups[0], **others}


def schedule_settings(
    schedule: LRScheduler, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> dict[str, Any]:
    """Class and settings of a schedule as it was made; ``before``, ``after`` it was: the optimiser's groups.

    Learning rates that the optimiser has of its own are left out: they are named as the optimiser's.
    """
    rates = [described(group.get("lr")) for group in before]
    found = _of_schedule(schedule, rates)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = {key: described(value) for key, value in new.items() if key not in ("params", "lr")}
        changed = {k: v for k, v in changed.items() if k not in old or v != described(old[k])}
        if changed.get("initial_lr") == rates[number]:
            del changed["initial_lr"]
        found |= {f"{key} of group {number + 1}" if number else key: value for key, value in changed.items()}
    return found


def _of_schedule(schedule: LRScheduler, rates: list[Any]) -> dict[str, Any]:
    own = {key: value for key, value in vars(schedule).items() if key not in _COUNTED}
    found = {key: _described(value, _DEEPEST, rates) for key, value in own.items()}
    if found.get("base_lrs") == rates:
        del found["base_lrs"]
    return {"class": type(schedule).__name__, **found}


def described(value: Any) -> Any:
    """A setting as plain values, the same in every process."""
    return _described(value, _DEEPEST, None)


def _described(value: Any, depth: int, rates: list[Any] | None) -> Any:
    """``rates``: the optimiser's, where functions are of a schedule, which are compared by their values."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else repr(float(value))
        case Tensor():
            numbers = value.detach().to("cpu", torch.float64)
            return numbers.tolist() if numbers.numel() <= _LARGEST_TENSOR else digest_of(numbers.numpy())
        case dict():
            return {str(key): _described(own, depth, rates) for key, own in value.items()}
        case list() | tuple():
            return [_described(own, depth, rates) for own in value]
        case LRScheduler():
            return _of_schedule(value, rates or [])
        case FunctionType() | partial():
            named = getattr(value, "func", value)
            return {"function": str(getattr(named, "__name__", type(named).__name__))} | (
                {} if rates is None else {"values": _values(value)}
            )
        case type():
            return value.__name__
    return {"class": type(value).__name__, **_public(getattr(value, "__dict__", {}), depth - 1)}


def _public(attributes: Mapping[str, Any], depth: int) -> dict[str, Any]:
    found = {key: value for key, value in attributes.items() if not key.startswith("_")} if depth > 0 else {}
    return {key: _described(value, depth, None) for key, value in found.items()}


def _values(function: Callable[[int], float]) -> dict[str, Any]:
    """Of a function of the step; 0 where it has no finite value."""
    values = list[float]()
    for step in _STEPS:
        try:
            values.append(float(function(step)))
        except Exception:  # of a user's own function
            values.append(math.nan)
    return digest_of(np.nan_to_num(np.array(values), posinf=0.0, neginf=0.0))
