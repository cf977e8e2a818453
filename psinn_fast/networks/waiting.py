"""Tensors whose numbers wait until somebody needs them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..kernels.errors import InputError
from .held import Held
from .noted_columns import noted
from .noted_operations import LIKE, NOTED
from .noted_shapes import MADE, is_alias, viewed
from .notes import Note

_made: Any = Tensor._make_subclass


class Waiting(Tensor):
    """A tensor that knows how its numbers are computed, and has none while a gradient leads through it.

    For torch it is a tensor like any other: autograd records what is done to it, and runs its own formulas on the way
    back. Only below that, where an operation would compute, it is noted if it is known to work point by point, and else
    done at once, with numbers. So nothing that torch does, to this tensor or to gradients that wait themselves, depends
    on what is known here. Methods that read memory, or treat subclasses in another way, do as ordinary tensors do.
    """

    held: Held
    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @classmethod
    def of(cls, held: Held, like: Tensor) -> Waiting:
        # Never without memory: torch gives it to an ordinary tensor that is told to take this one's data.
        # Its number of changes is its own: who changes one tensor changes no other that waits.
        if held.blank is None:
            held.blank = _blank(held.shape, like.dtype, like.device)
        lying = held.memory() if held.notes is None else held.blank.data
        # torch's stubs leave it without types.
        if torch.is_inference_mode_enabled():  # it may be an alias of what was there before
            with torch.inference_mode(False):
                made: Waiting = _made(cls, lying)
        else:
            made = _made(cls, lying)
        made.held = held
        return made

    @classmethod
    def noted(cls, notes: tuple[Note, ...], shape: tuple[int, ...]) -> Waiting:
        held = Held(notes, shape)
        if is_going_back() and not torch.is_grad_enabled():
            for call in {call for note in notes for call in note.calls}:
                call.note_on_the_way_back(held)
        return cls.of(held, notes[0].calls[0].theta)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        options = kwargs or {}
        if (operation := NOTED.get(func)) is not None and _leads_on(args):
            found = noted(func, operation, args, options)
            if found is not None:
                return cls.noted(*found)
        if (rule := MADE.get(func)) is not None and not options and _leads_on(args):
            found = rule(*args)
            if found is not None:
                return cls.noted(*found)
        if not options and is_alias(func, args):
            if not _leads_on(args):
                args[0].memory()
            return cls.of(args[0].held, args[0])
        if not options and _leads_on(args) and (parts := viewed(func, args)) is not None:
            return cls.of(parts, args[0]) if isinstance(parts, Held) else [cls.of(part, args[0]) for part in parts]
        if func in LIKE and type(args[0]) is cls and not any(type(arg) is cls for arg in args[1:]):
            shape = torch.empty(args[0].shape, dtype=args[0].dtype, device=args[0].device)
            return func(shape, *args[1:], **options)
        return _done(func, args, options)

    def numbers(self) -> Tensor:
        """To be read."""
        return self.held.numbers()

    def memory(self) -> Tensor:
        """To be read, changed and aliased: from now on the numbers are what lies there."""
        return self.held.memory()

    def detach(self) -> Tensor:
        if not is_going_back():
            self.memory()
        return super().detach()

    @property
    def data(self) -> Tensor:
        self.memory()
        found: Tensor = _DATA.__get__(self)
        return found

    @data.setter
    def data(self, value: Tensor) -> None:
        given = value.memory() if isinstance(value, Waiting) else value.detach()
        _DATA.__set__(self, given)  # also the shape and the type of numbers: so modules convert parameters
        self.held = Held(None, tuple(given.shape), given)

    def plain(self) -> Any:
        """An ordinary tensor with these numbers, and a graph if this one has one."""
        return self.clone()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        return _as_array(self).numpy(*args, **kwargs)

    # torch.tensor([loss, other]) asks for these where it does not ask how to compute.
    def __float__(self) -> float:
        return float(self.numbers())

    def __int__(self) -> int:
        return int(self.numbers())

    def __bool__(self) -> bool:
        return bool(self.numbers())

    def __complex__(self) -> complex:
        return complex(self.numbers())

    def tolist(self) -> Any:
        return self.numbers().tolist()

    def data_ptr(self) -> int:
        return self.memory().data_ptr()

    def untyped_storage(self) -> Any:
        return self.memory().untyped_storage()

    def storage(self) -> Any:
        memory: Any = self.memory()
        return memory.storage()

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        return _as_array(self).__dlpack__(*args, **kwargs)

    def __deepcopy__(self, memo: Any) -> Any:
        # torch's own keeps the copy in the memo by the id of what was copied: this tensor, not one that is gone soon.
        found = memo[id(self)] = self.plain().__deepcopy__({})
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.plain().__reduce_ex__(protocol)

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return str(self.plain().__repr__(**options))

    def __format__(self, spec: str) -> str:
        return format(self.plain(), spec)


_DATA: Any = Tensor.data


@lru_cache(maxsize=16)
def _blank(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """What lies where there are no numbers yet. An ordinary tensor sees it, if it is told to take the data of one with
    a graph, or of a gradient, without `detach` or `data`: torch asks nobody, so it is no number.
    """
    with torch.inference_mode(False):
        return torch.full(shape, math.nan, dtype=dtype, device=device)


def is_going_back() -> bool:
    """Whether torch is on its way back through a graph: gradients wait there."""
    return torch._C._current_graph_task_id() != -1


def _leads_on(args: tuple[Any, ...]) -> bool:
    """Whether a gradient leads through the result. Others are for looking at, or kept for long: those have numbers."""
    if is_going_back():
        return True
    tensors = args[0] if args and isinstance(args[0], (list, tuple)) else args
    return torch.is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in tensors)


def _as_array(tensor: Waiting) -> Any:
    """What shares the tensor's memory, or makes torch say why that may not be."""
    return tensor.plain() if tensor.requires_grad else tensor.memory()


def _done(func: Any, args: Any, options: dict[str, Any]) -> Any:
    """The operation, on numbers."""
    owners: dict[int, Waiting] = {}

    def memory(tensor: Waiting) -> Tensor:
        owners[id(tensor.memory())] = tensor
        return tensor.memory()

    aliased = _aliased(func)
    ready = [_each(arg, memory if k in aliased else Waiting.numbers) for k, arg in enumerate(args)]
    named = {key: _each(arg, memory if key in aliased else Waiting.numbers) for key, arg in options.items()}
    found = func(*ready, **named)
    for own in owners.values():
        if own.memory().shape != own.shape:
            raise InputError(
                f"{func}: the shape of derivatives cannot be changed in place; write the operation without the "
                "underscore, or clone() them first"
            )
    return owners.get(id(found), found)


@lru_cache(maxsize=1024)
def _aliased(func: Any) -> frozenset[int | str]:
    """Positions and names of the arguments that are changed, or that a view is given of."""
    arguments = enumerate(func._schema.arguments)
    return frozenset(key for k, own in arguments if own.alias_info is not None for key in (k, own.name))


def _each(item: Any, change: Any) -> Any:
    if isinstance(item, Waiting):
        return change(item)
    return type(item)(_each(part, change) for part in item) if isinstance(item, (list, tuple)) else item


def _leave_to_python() -> None:
    """Compiled code that is given such tensors leaves what they do to Python, instead of compiling that, too.

    This is what torch.compiler.disable does, without importing the compiler and Triton, which takes a second.
    """
    frames: Any = torch._C._dynamo.eval_frame
    skip = frames._FrameAction.SKIP
    frames.set_code_exec_strategy(Waiting.__torch_dispatch__.__code__, frames._FrameExecStrategy(skip, skip))


_leave_to_python()
