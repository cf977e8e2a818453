"""A new run in the place of an earlier one: whose checkpoint is kept, and what is not replaced at all."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small import small_laplace

import psinn_fast as pf

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 15


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """With a checkpoint of an earlier run."""
    path = tmp_path / "run.safetensors"
    fitted(path, STEPS)
    return path


def network(seed: int = 0) -> pf.MLP:
    return pf.MLP([2, 5, 1], seed=seed, dtype="float64")


def fitted(path: Path | None, steps: int, net: pf.MLP | None = None, **options: Any) -> pf.FitResult:
    return pf.fit(small_laplace(5), net or network(), pf.Adam(steps), checkpoint=path, options=pf.Options(**options))


def fails(progress: pf.Progress) -> None:
    raise KeyError("a bug")


def said(path: Path, steps: int = STEPS) -> str:
    kept = re.escape(str(path.with_name("run.earlier.safetensors")))
    return f"run.safetensors: an earlier run of {steps} steps is kept as {kept}; to go on with it, move it back"


def test_a_new_run_that_fails_at_once_does_not_cost_the_one_before(path: Path) -> None:
    with pytest.warns(pf.CheckpointWarning, match=said(path)), pytest.raises(pf.CallbackError):
        fitted(path, STEPS, callbacks=fails)
    for _ in range(2):  # nor do others, which have no steps worth keeping, and nothing is said
        with pytest.raises(pf.CallbackError):
            fitted(path, STEPS, callbacks=fails)
    assert {one.name for one in path.parent.iterdir()} == {"run.safetensors", "run.earlier.safetensors"}
    shutil.move(path.with_name("run.earlier.safetensors"), path)
    net, whole = network(3), network()
    result = fitted(path, STEPS + 5, net, resume=True)
    fitted(None, STEPS + 5, whole)
    assert result.steps == STEPS + 5
    assert torch.equal(net.theta, whole.theta)


def test_of_two_earlier_runs_the_longer_one_is_kept(path: Path) -> None:
    with pytest.warns(pf.CheckpointWarning, match=said(path)):
        fitted(path, 1)
    kept = path.with_name("run.earlier.safetensors").read_bytes()
    with pytest.warns(pf.CheckpointWarning, match=r"of 1 steps is replaced; a longer one, of 15, is still kept as"):
        fitted(path, 3, callbacks=lambda progress: time.sleep(0.5))
    assert path.with_name("run.earlier.safetensors").read_bytes() == kept
    with pytest.warns(pf.CheckpointWarning, match=said(path, 3)):
        fitted(path, 1)
    assert len(list(path.parent.iterdir())) == 2


def test_a_run_that_goes_on_is_no_earlier_one(path: Path) -> None:
    fitted(path, STEPS + 5, resume=True)
    first = fitted(None, 5)
    other = path.with_name("other.safetensors")
    stopped = fitted(other, STEPS, callbacks=lambda progress: progress.step == 9)
    fitted(other, STEPS, resume=stopped)
    assert {one.name for one in path.parent.iterdir()} == {"run.safetensors", "other.safetensors"}
    with pytest.warns(pf.CheckpointWarning, match=said(path, STEPS + 5)):  # of another run than the result
        fitted(path, STEPS, resume=first)


def test_what_is_no_checkpoint_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    earlier = path.with_name("data.earlier.csv")
    pf.save_network(tmp_path / "w.safetensors", network())
    save_file({"theta": torch.zeros(3)}, tmp_path / "t.safetensors")
    for place, content in (
        (path, b"precious\n"),
        (path, (tmp_path / "w.safetensors").read_bytes()),
        (path, (tmp_path / "t.safetensors").read_bytes()),
        (earlier, b"precious\n"),
    ):
        place.write_bytes(content)
        before = network()
        message = (
            rf"^checkpoint: there is a file that is no checkpoint, and would be replaced: .*{place.name}: .*; move"
        )
        with pytest.raises(pf.InputError, match=message):
            fitted(path, 3, before)
        assert torch.equal(before.theta, network().theta)
        assert place.read_bytes() == content
        place.unlink()
    path.touch()  # as by tempfile
    assert fitted(path, 3).ended == "done"
    assert path.stat().st_size > 0
    assert not earlier.exists()


def test_an_earlier_run_that_cannot_be_kept_is_not_replaced(path: Path) -> None:
    path.with_name("run.earlier.safetensors").mkdir()
    content = path.read_bytes()
    with pytest.raises(pf.CheckpointError, match=r"of 15 steps is there, and cannot be kept as .*Is a"):
        fitted(path, 3)
    assert path.read_bytes() == content
    path.with_name("run.earlier.safetensors").rmdir()
    path.chmod(0o400)
    with pytest.raises(pf.CheckpointError, match=r"cannot be kept as .* \(the file there is read-only\)"):
        fitted(path, 3)
    assert [one.read_bytes() for one in path.parent.iterdir()] == [content]


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """A failing write in between would be said, and the last one is tried whatever happened before."""
    out = tmp_path / "run"

    def remove(progress: pf.Progress) -> None:
        if progress.step == 2:
            shutil.rmtree(out)

    options = pf.Options(callbacks=remove)
    pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(6), out=out, options=options)
    assert (out / "checkpoint.safetensors").exists()
    options = pf.Options(resume=True)
    again = pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(8), out=out, options=options)
    assert again.steps == 8


def test_a_checkpoint_that_is_gone_is_not_said_to_hold_anything(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()

    def remove(progress: pf.Progress) -> None:
        if progress.step == 2:
            shutil.rmtree(out)
            out.write_text("in the way")

    with pytest.warns() as seen:
        fitted(out / "c.safetensors", 6, callbacks=remove)
    assert re.search(r"c\.safetensors: cannot be written \(.*\); there is none any more$", str(seen[-1].message))


def test_terms_in_another_order_are_named(tmp_path: Path) -> None:
    problem, path = small_laplace(5), tmp_path / "c.safetensors"
    pf.fit(problem, network(), pf.Adam(3), checkpoint=path)
    turned = pf.Problem(problem.name, problem.pde, problem.domain, problem.conditions[::-1], exact=problem.exact)
    message = r"it has the problem's terms in another order: saved \['residual', 'dirichlet'\], now \['dirichlet', "
    with pytest.raises(pf.CheckpointError, match=message):
        pf.fit(turned, network(), pf.Adam(3), checkpoint=path, options=pf.Options(resume=True))
