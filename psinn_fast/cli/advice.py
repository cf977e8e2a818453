"""What would make a step of training cheaper, from where its time goes."""

from __future__ import annotations

from .step_parts import PYTHON, Parts, Spared

# Shares of a step above which something is worth doing about it.
_MUCH, _WAITING, _NEAR_PEAK = 0.3, 0.1, 0.6
_BETWEEN = ("packing", "reduction", "optimiser", PYTHON)


def advice(step: Parts, spared: Spared, symmetries: int, is_dense: bool, is_float64: bool, threads: int) -> list[str]:
    """Sentences, the most useful first.

    Args:
        step: where its time goes.
        spared: what relations spare already.
        symmetries: how many maps of the problem, beside the identity, a tied network could have.
        is_dense, is_float64: of the network.
        threads: in use.
    """
    share = {name: value / (step.total or 1.0) for name, value in step.seconds.items()}
    found = []
    if is_dense and symmetries:
        found.append(
            f"The problem has {symmetries} symmetr{'y' if symmetries == 1 else 'ies'}: a network with tied weights "
            "(--method psi; psinn-fast discover) needs fewer multiplications, and one point of each orbit."
        )
    if (between := sum(share.get(name, 0.0) for name in _BETWEEN)) > _MUCH:
        found.append(
            f"{between:.0%} of a step do not depend on the points: more points cost little, and Gauss-Newton, which "
            "makes more of each step, suits small networks."
        )
    if share.get("waiting", 0.0) > _WAITING and threads > 1:
        found.append(
            f"Threads wait for each other for {share['waiting']:.0%} of the time: try --threads {threads // 2}."
        )
    if is_float64:
        found.append("In float32 (--dtype float32) twice as many numbers fit a register; Gauss-Newton needs float64.")
    if step.share_of_peak is not None and step.share_of_peak > _NEAR_PEAK:
        found.append(
            "Products run near what this machine can do: only fewer or narrower layers, or relations, save time."
        )
    if share.get("activations", 0.0) > _MUCH:
        found.append(
            f"Activations and their chain rule take {share['activations']:.0%}: they grow with neurons and channels, "
            "so fewer layers or derivatives help (u_lap is one channel, u_xx and u_yy are two)."
        )
    if share.get("relations", 0.0) > _MUCH / 2:
        found.append("Sums that relations need cost much: wider blocks make them small beside the products.")
    if spared.factor > 1.05:
        found.append(f"Relations spare already: {spared.factor:.2g} times fewer multiplications than written out.")
    return found
