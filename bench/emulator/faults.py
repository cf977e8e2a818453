"""What a kernel did that it must not do on a chip, or that the emulator does not know."""

from __future__ import annotations


class Fault(RuntimeError):
    """A kernel's: an address outside its tensors, a barrier that not all reach, what nobody wrote."""


class NotModelled(NotImplementedError):
    """An instruction, or a form of one, that the emulator does not know: the message names it."""
