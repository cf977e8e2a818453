"""What results say of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from psinn_fast.machine import processor_name

CPUINFO = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel\t: 99\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CPUINFO, "AMD EPYC (family 25, model 17)"),
        ("processor\t: 0\nmodel name\t: A 9000\n", "A 9000"),
    ],
)
def test_the_processor(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_name(tmp_path / "cpuinfo") == name


def test_without_a_name(tmp_path: Path) -> None:
    """As on ARM, or where the system has no such file."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nBogoMIPS\t: 50\n")
    assert processor_name(tmp_path / "cpuinfo") == processor_name(tmp_path / "none") != ""
