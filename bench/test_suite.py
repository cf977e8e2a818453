"""The benchmark suite works, at tiny sizes."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import __main__ as main_module
from bench.__main__ import main
from bench.contestants.structures import STRUCTURES, structure_of
from bench.suite import measure as measure_module
from bench.suite import publish, results
from bench.suite.case import Case
from bench.suite.channel_sets import CHANNEL_SETS
from bench.suite.compare import compare
from bench.suite.contestant import ENTRIES, YARDSTICK, KnowsWork, NotServed
from bench.suite.equations import EQUATIONS
from bench.suite.here import found
from bench.suite.machine import describe
from bench.suite.measure import Settings, judge, measure, reference_of
from bench.suite.posed import POSED
from bench.suite.process import Process
from bench.suite.registry import cases
from bench.suite.worker import serve
from psinn_fast.kernels.language.activations import ACTIVATIONS

# Others need packages that the tests' environment lacks, or compile for long.
CHEAP = ("ours", "taylor", "func", "deepxde", "pina")


def tiny(equation: str, **changes: object) -> Case:
    layers = (len(EQUATIONS[equation].coordinates), 5, 4, 1)
    return Case("test", equation, layers, 30, edge=12, **{"dtype": "float64", **changes})  # type: ignore[arg-type]  # any of its fields


# torch.func still uses what torch itself has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.usefixtures("deepxde_as_before")
@pytest.mark.parametrize("equation", EQUATIONS)
def test_contestants_agree_in_float64(equation: str) -> None:
    case = tiny(equation)
    loss, gradient = ENTRIES["nested"].build(case).loss_and_gradient()
    answered = []
    for name in CHEAP:
        *_, last = serve(ENTRIES[name], case, ['{"do": "check"}'])
        if "absent" in last:
            assert (name, equation) == ("taylor", "biharmonic") or "is not installed" in last["absent"]
            continue
        answered.append(name)
        assert last["loss"] == pytest.approx(loss, rel=1e-12)
        assert np.linalg.norm(last["gradient"] - gradient) <= 1e-12 * np.linalg.norm(gradient)
    assert {"ours", "func"} <= set(answered)


def test_a_contestant_that_raises_says_so_and_stops() -> None:
    commands = [json.dumps({"do": "steps", "count": count}) for count in ("many", 1)]
    ready, last = serve(ENTRIES["taylor"], tiny("laplace"), commands)
    assert ready == {"ready": True}
    assert last["failure"].startswith("TypeError")


def test_a_missing_library_is_named() -> None:
    (only,) = serve(ENTRIES["jet"], tiny("laplace"), [])
    assert only["absent"].startswith("jet-for-pytorch is not installed")


QUICK = Settings(rounds=2, seconds=0.001, jobs=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A file of results of a step with a peer, and rows of growth made of its numbers."""
    case = replace(tiny("laplace", contestants=("ours", "yardstick", "taylor", "jet")), group="step")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure_module, "_found", found)
        rows = measure(case, QUICK, {})
    own = next(row for row in rows if row["contestant"] == "ours")
    for depth in range(1, 7):
        grown = {
            "seconds": {key: depth * value for key, value in own["seconds"].items()},
            "layers": [2, *[4] * depth, 1],
        }
        rows.append(
            {**own, "group": "depth", "case": f"depth {depth}", "multiply_adds": depth * own["multiply_adds"], **grown}
        )
    path = tmp_path_factory.mktemp("bench") / "tiny.json"
    results.save(path, {"suite": "tiny", "command": "pytest", "load": 0.0, **describe(1)}, rows)
    return results.read(path) | {"path": path}


def test_rows_of_a_case(measured: dict[str, Any]) -> None:
    by_name = {row["contestant"]: row for row in measured["rows"] if row["group"] == "step"}
    assert "absent" in by_name["jet"]
    for name in ("ours", "taylor"):
        assert by_name[name]["error_float64"] < 1e-9
        assert by_name[name]["seconds"]["p10"] > 0
    assert by_name["ours"]["over_ours"]["median"] == 1
    assert by_name["ours"]["multiply_adds"] > 0


def test_an_interrupted_run_is_gone_on_with(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (tiny(name, contestants=("ours",)) for name in ("laplace", "poisson"))
    (row,) = (row for row in measured["rows"] if row["group"] == "step" and row["contestant"] == "ours")
    begun: list[str] = []

    def interrupted(case: Case, *_: Any) -> list[dict[str, Any]]:
        begun.append(case.name)
        if case == two and begun.count(two.name) == 1:
            raise KeyboardInterrupt
        return [{**row, "case": case.name}]

    monkeypatch.setattr(main_module, "cases", lambda suite: [one, two])
    monkeypatch.setattr(main_module, "measure", interrupted)
    run = ["run", "quick", "--out", str(tmp_path / "rows.json")]
    assert main(run) == 130
    assert main([*run, "--resume"]) == 0
    assert begun == [one.name, two.name, two.name]
    assert [found["case"] for found in results.read(tmp_path / "rows.json")["rows"]] == [one.name, two.name]
    assert main([*run, "--resume", "--rounds", "3"]) == 2
    assert "its rounds is 9, that of this run 3" in capsys.readouterr().err


def test_a_slower_kernel_is_caught_and_noise_of_one_peer_is_not(measured: dict[str, Any]) -> None:
    assert compare(measured, measured)[1] is False
    steady = narrowed(measured, 1.01)
    slower = copy.deepcopy(steady)
    for row in slower["rows"]:
        if row["contestant"] != "ours" and "over_ours" in row:
            row["over_ours"] = {key: value / 1.3 for key, value in row["over_ours"].items()}
    lines, is_worse = compare(steady, slower)
    assert is_worse
    assert any(line.startswith("SLOWER 1.30 times") for line in lines)
    lines, is_worse = compare(narrowed(measured, 1.4), narrowed(slower, 1.4))
    assert not is_worse
    assert any(line.startswith("measure again, the rounds differ as much: 1.30 times") for line in lines)
    other = {**copy.deepcopy(measured), "cpu": "another"}
    assert compare(measured, other)[0][0].startswith("warning: cpu differs")
    failing = copy.deepcopy(measured)
    failing["rows"][0]["failure"] = "killed"
    assert compare(measured, failing)[1] is True


def narrowed(results: dict[str, Any], factor: float) -> dict[str, Any]:
    """With percentiles so far from the median."""
    found = copy.deepcopy({key: value for key, value in results.items() if key != "path"})
    for row in found["rows"]:
        if row["contestant"] != "ours" and "over_ours" in row:
            median = row["over_ours"]["median"]
            row["over_ours"] |= {"p10": median / factor, "p90": median * factor}
    return found


@pytest.mark.parametrize("how", ["case", "row", "absent"])
def test_what_is_gone_is_seen(how: str, measured: dict[str, Any]) -> None:
    after = copy.deepcopy(measured)
    (own,) = (row for row in after["rows"] if row["group"] == "step" and row["contestant"] == "ours")
    if how == "absent":
        own["absent"] = "not built"
    else:
        after["rows"] = [
            row for row in after["rows"] if row["case"] != own["case"] or (how == "row" and row is not own)
        ]
    lines, is_worse = compare(measured, after)
    assert is_worse
    assert any(line.startswith(f"GONE: ours in {own['case']}") for line in lines)


def test_other_versions_and_busy_machines_are_said(measured: dict[str, Any]) -> None:
    after = copy.deepcopy(measured) | {"load": 5.0}
    for row in after["rows"]:
        if "versions" in row:
            row["versions"]["numpy"] = "0.1"
    lines, _ = compare(measured, after)
    assert any(re.fullmatch(r"warning: numpy was \S+, is 0.1", line) for line in lines)
    assert "warning: the machine of the second file was busy before (load 5)" in lines


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda found: found.pop("suite"), "does not say its suite"),
        (lambda found: found["rows"].append(3), "3 is no row"),
        (lambda found: found["rows"][0].pop("case"), "it has no case"),
        (lambda found: found["rows"][0].update(contestant="martian"), "no contestant is called 'martian'"),
        (lambda found: found["rows"][0]["seconds"].update(median=0), "its seconds are no positive numbers"),
        (lambda found: found["rows"][0]["over_ours"].update(median=float("nan")), "its over_ours are no positive"),
        (lambda found: found["rows"][0]["over_ours"].update(p10="1"), "its over_ours are no positive"),
    ],
)
def test_damaged_files_are_refused(
    spoil: Any, says: str, measured: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = copy.deepcopy({key: value for key, value in measured.items() if key != "path"})
    spoil(found)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(found))
    assert main(["compare", str(measured["path"]), str(path)]) == 2
    assert says in capsys.readouterr().err


def test_where_nothing_can_be_written_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, measured: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main_module, "measure", lambda *_: pytest.fail("it was measured"))
    for out in (tmp_path, measured["path"] / "below.json"):
        assert main(["run", "quick", "--out", str(out)]) == 2
        assert "nothing was measured: " in capsys.readouterr().err
    assert main(["report", str(measured["path"]), "--out", str(measured["path"])]) == 2
    assert "no folder can be written there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_of_a_file_is_the_one_that_made_it() -> None:
    def command(*words: str) -> str:
        return main_module.command_of(main_module.parser().parse_args(["run", "quick", *words]))

    assert command() == "python -m bench run quick"
    assert command("--only", "step", "2-8", "--rounds", "2", "--out", "/x") == (
        "python -m bench run quick --only step 2-8 --rounds 2"
    )


def test_a_headline_needs_all_peers(measured: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the headline needs all peers; jet, step"):
        publish.NUMBERS["headline"](measured["path"], Path())
    assert "| not there |" in publish.NUMBERS["steps"](measured["path"])


def test_a_wrong_contestant_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = measure_module.judge

    def spoilt(found: Any, expected: Any) -> Any:
        return right(replace(found, loss=found.loss * (1 + 1e-8)), expected)

    monkeypatch.setattr(measure_module, "_found", found)
    monkeypatch.setattr(measure_module, "judge", spoilt)
    (row,) = measure(tiny("laplace", contestants=("ours",)), QUICK, {})
    assert row["failure"].startswith("wrong: loss or gradient is off by")
    assert "seconds" not in row


def test_wrong_gradients_and_missing_steps_are_seen() -> None:
    right = found("nested", tiny("laplace"))
    assert judge(found("ours", tiny("laplace")), right)["error_float64"] < 1e-12
    assert "gradient is off by 1.0e-03" in judge(replace(right, gradient=right.gradient * 1.001), right)["failure"]
    assert "off by nan" in judge(replace(right, gradient=right.gradient * np.nan), right)["failure"]
    assert "after 3 steps" in judge(replace(right, stepped=right.loss), right)["failure"]


def test_a_gradient_of_another_length_is_wrong() -> None:
    right = measure_module.Found(1.0, np.ones(3), 1.0)
    row = judge(replace(right, gradient=np.ones(2)), right)
    assert row == {"failure": "wrong: its gradient and the right one have 2 and 3 numbers"}


def test_a_child_that_holds_the_pipes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '30']); print('{}', flush=True); time.sleep(30)"
    popen = subprocess.Popen
    monkeypatch.setattr(
        "bench.suite.process.subprocess.Popen", lambda _, **how: popen([sys.executable, "-c", code], **how)
    )
    monkeypatch.setattr("bench.suite.process.CLOSING", 0.2)
    monkeypatch.setattr("bench.suite.process.interpreter", lambda _: sys.executable)
    process = Process("ours", tiny("laplace"), 1)
    started = time.monotonic()
    process.close()
    assert time.monotonic() - started < 5


def test_every_case_of_quick_is_one_of_cpu() -> None:
    names = [case.name for case in cases("cpu")]
    assert len(set(names)) == len(names)
    assert {case.name for case in cases("quick")} < set(names)
    assert {case.activation for case in cases("cpu")} == set(ACTIVATIONS)
    assert {case.structure for case in cases("cpu") if case.equation not in POSED} == {None, *STRUCTURES}
    assert {case.equation for case in cases("cpu")} >= {*EQUATIONS, *CHANNEL_SETS, *POSED}


def test_cases_go_through_json() -> None:
    case = tiny("laplace", threads=2)
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
    assert case.name.endswith("float64, 2 threads")


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("u", 1), ("u x y lap", 4), ("u x y xx yy", 5), ("u x y xx lap", 5), ("u t x xx xxt", 6),
        ("order 2, 3 inputs", 10), ("order 4, 4 inputs", 70),
    ],
)  # fmt: skip
def test_channel_sets_are_read_whole(name: str, channels: int) -> None:
    case = Case("test", name, (len(CHANNEL_SETS[name].coordinates), 5, 4, 1), 20, edge=6, dtype="float64")
    assert judge(found("ours", case), found("nested", case))["error_float64"] < 1e-12
    ours = ENTRIES["ours"].build(case)
    assert isinstance(ours, KnowsWork)
    assert ours.work()["channels"] == channels


@pytest.mark.parametrize("name", STRUCTURES)
def test_tied_networks_equal_those_written_out(name: str) -> None:
    layers = (2, 32, 48, 32, 1) if name == "burgers (published)" else (2, 32, 32, 32, 1)
    case = replace(tiny("burgers", structure=name), layers=layers)
    who, reference = reference_of(case)
    assert judge(found("step by step", case), found(who, reference))["error_float64"] < 1e-12


FLOW = (2, 4, 5, 2, 3)


@pytest.mark.parametrize(
    ("equation", "layers", "structure", "names"),
    [
        ("linear layer", (8, 8), "one symmetry", ("ours", "gathered", "products", "linear")),
        ("linear layer", (8, 8), "two symmetries", ("products",)),
        ("cylinder", FLOW, None, ("ours",)),
        ("cylinder", FLOW, "flow (published)", ("ours", "one point per orbit")),
    ],
)
def test_posed_problems_agree(
    equation: str, layers: tuple[int, ...], structure: str | None, names: tuple[str, ...]
) -> None:
    case = Case("test", equation, layers, 20, dtype="float64", structure=structure)
    right = found(*reference_of(case))
    for name in names:
        assert judge(found(name, case), right)["error_float64"] < 1e-12
    with pytest.raises(NotServed, match="takes no part in"):
        ENTRIES["taylor"].build(case)
    ENTRIES[YARDSTICK].build(case).steps(1)


def test_who_takes_part_in_posed_problems_only_says_so() -> None:
    with pytest.raises(NotServed, match=r"nn\.Linear takes no part in laplace"):
        ENTRIES["linear"].build(tiny("laplace"))


def test_the_rule_of_a_layer_is_in_its_row() -> None:
    for points, chosen in ((10, "gathered"), (10_000, "products")):
        ours = ENTRIES["ours"].build(Case("test", "linear layer", (256, 256), points, structure="one symmetry"))
        assert isinstance(ours, KnowsWork)
        assert ours.work() == {"chosen": chosen}


OWN = ("layer", "accelerate", "derivatives", "fuse", "fuse and fit")


@pytest.mark.parametrize(
    ("equation", "structure", "optimiser", "names"),
    [
        ("poisson", None, "adam", OWN),
        ("biharmonic", None, "adam", OWN),
        ("burgers", "even in y", "adam", ("layer", *OWN[2:])),
        ("burgers", None, "gauss-newton", ("ours", "func")),
        ("laplace", "even in y", "gauss-newton", ("ours",)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_loops_and_iterations_agree(
    equation: str, structure: str | None, optimiser: str, names: tuple[str, ...]
) -> None:
    case = replace(tiny(equation, structure=structure, optimiser=optimiser), layers=(2, 4, 4, 1))
    who, reference = reference_of(case)
    right = found(who, reference)
    for name in names:
        assert judge(found(name, case), right)["error_float64"] < 1e-12


def test_who_has_no_means_takes_no_part() -> None:
    for case in (tiny("laplace", optimiser="gauss-newton"), tiny("laplace", structure="even in y")):
        with pytest.raises(NotServed, match="torch, Taylor by hand has no"):
            ENTRIES["taylor"].build(case)


def test_a_structure_that_is_not_as_wide_is_refused() -> None:
    with pytest.raises(ValueError, match="the case says"):
        structure_of(replace(tiny("laplace", structure="poisson (published)"), layers=(2, 16, 16, 16, 1)))


def test_the_report_has_pictures_and_all_rows(measured: dict[str, Any], tmp_path: Path) -> None:
    assert main(["report", str(measured["path"]), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"steps", "growth", "memory"}
    assert page.count("<img") == len(list(tmp_path.glob("*.png")))
    assert "no module" in page


@pytest.mark.parametrize(
    ("text", "says"), [(None, "No such file"), ("[]", "not a file of results"), ("{", "is not JSON")]
)
def test_other_files_are_refused(
    text: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    assert main(["report", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_published_numbers_are_those_of_the_results() -> None:
    assert publish.stale() == []


@pytest.mark.pictures
def test_numbers_of_a_page_are_written_and_their_age_is_seen(
    measured: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    block = f"<!-- numbers: {{}} {measured['path']} -->\nold\n<!-- end of numbers -->\n"
    page.write_text("before\n" + block.format("steps") + "between\n" + block.format("model") + "behind\n")
    picture = tmp_path / "docs" / "memory.png"
    monkeypatch.setattr(publish, "pages", lambda: iter([page]))
    monkeypatch.setattr(publish, "PICTURES", {picture: (measured["path"], "memory")})
    monkeypatch.setattr(main_module, "TOP", tmp_path)
    assert main(["publish", "--check"]) == 1
    said = capsys.readouterr().out
    assert "README.md: its numbers are not those of the results: " in said
    assert "memory.png: its numbers are not those of the results: " in said
    assert main(["publish"]) == 0
    assert main(["publish", "--check"]) == 0
    assert publish.source_of(picture) == publish.digest(measured["path"])
    other = tmp_path / "other.json"
    other.write_text(measured["path"].read_text() + "\n")
    monkeypatch.setattr(publish, "PICTURES", {picture: (other, "memory")})
    assert publish.stale() == [picture]
    text = page.read_text()
    assert "| psinn_fast" in text
    assert "torch, Taylor by hand" in text
    assert "steps of psinn_fast; " in text
    assert re.search(r"between\n<!-- numbers: model .* -->\nA step takes .* cases lie within \d+%\.\n<!-- end", text)
    assert text.startswith("before\n")
    assert text.endswith("behind\n")
