"""What does not change once it is made, but is set attribute by attribute until then: domains."""

from __future__ import annotations

from typing import Any, NoReturn

from ..frozen import frozen, unchanging
from ..kernels.errors import InputError
from .own_names import refuse_taken


class _Finishing(type):
    """Objects set attributes while they are made, and not afterwards; what they hold is a copy of what was given."""

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        made = super().__call__(*args, **keywords)
        if "coords" not in made.__dict__:
            raise InputError(f"{cls.__name__}: its __init__ calls super().__init__(x=(low, high), ...) with its bounds")
        kept = {name: unchanging(value) for name, value in made.__dict__.items()}
        made.__dict__.update(kept, _is_finished=True)
        return made


class Finished(metaclass=_Finishing):
    """Attributes, but for names that the library gives a meaning to, can be set while ``__init__`` runs."""

    _is_finished: bool

    def __setattr__(self, name: str, value: object) -> None:
        if "_is_finished" in self.__dict__:
            raise AttributeError(f"{name}: a domain does not change once it is made; make another one")
        refuse_taken(type(self), name)
        object.__setattr__(self, name, value)

    def _have(self, **attributes: object) -> None:
        """Set what only the library's own classes set."""
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: a domain does not change once it is made; make another one")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Neither pickles nor copies of arrays are read-only.
        self.__dict__.update({name: frozen(value) for name, value in state.items()})
