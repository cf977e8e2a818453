"""docs/testing.md tells how many faults were found as the results do, and what was not found has a reason."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_faults_made_on_purpose() -> None:
    results = json.loads((ROOT / "bench" / "results" / "mutants.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") and " of " in line]
    assert rows == [
        f"| `{name}` | {found['caught']} of {found['of']} | {found['caught'] / found['of']:.0%} |".replace("%", " %")
        for name, found in sorted(results.items())
    ]
    for name, found in results.items():
        assert found["caught"] + len(found["survivors"]) == found["of"]
        assert found["caught"] >= 0.85 * found["of"], name
        assert all(survivor["reason"] for survivor in found["survivors"]), name
