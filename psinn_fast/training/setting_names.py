"""What settings are called here, for who knows them by another library's word."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from difflib import get_close_matches

from ..kernels.errors import InputError

# Words of torch, SciPy, optax, Keras, DeepXDE, Lightning, and what they mean.
_MEANING = {
    "epochs": "steps", "max_epochs": "steps", "n_epochs": "steps", "num_epochs": "steps", "iterations": "steps",
    "max_iterations": "steps", "n_iterations": "steps", "iters": "steps", "max_iter": "steps", "maxiter": "steps",
    "n_steps": "steps", "num_steps": "steps", "max_steps": "steps", "learning_rate": "lr", "step_size": "lr",
    "epsilon": "eps", "history_size": "memory", "maxcor": "memory", "tol": "tolerance", "tolerance_grad": "tolerance",
}  # fmt: skip


def refuse_unknown_settings(kind: type, given: Iterable[str]) -> None:
    """
    Raises:
        InputError: a keyword that the class does not take; it says which one is meant, or all that there are.
    """
    # Of what takes any keyword, it is up to that what is unknown.
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]  # of the class itself
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters][1:]
    for name in given:
        if name in known:
            continue
        meant = _MEANING.get(name)
        likely = [meant] if meant in known else get_close_matches(name, known, 1)
        advice = f"write {likely[0]}=..." if likely else f"there are {', '.join(known)}"
        raise InputError(f"{kind.__name__}: it has no setting {name!r}; {advice}")
