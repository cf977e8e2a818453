"""What `discover` found, in words and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ..markup import Markup, badge, block, lines, preformatted, title
from ..networks.structure import Structure
from ..networks.structure_html import structure_html
from ..problem.problem import Problem
from ..symmetries.symmetry_check import FoundSymmetry
from .distillation import Distillation
from .evidence import Evidence, EvidenceTable
from .teachers import Trained

DISCOVERY_SCHEMA = "psinn_fast.discovery/1"


@dataclass(frozen=True, repr=False)
class Trial:
    """Structured against dense networks: the problem's own loss at all points, per seed, after equal steps.

    ``rejected``: no structured loss is within 10 times the geometric mean of the dense ones. ``parameters``: of the
    structured and of the dense network. ``longer``: where no structured network was good enough after these steps,
    the losses of the best seed after twice and four times as many.
    """

    parameters: tuple[int, int]
    steps: int
    structured: tuple[float, ...]
    dense: tuple[float, ...]
    rejected: bool
    longer: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        structured, dense = (", ".join(f"{loss:.1e}" for loss in own) for own in (self.structured, self.dense))
        further = "".join(f", {loss:.1e} after {self.steps * 2**k}" for k, loss in enumerate(self.longer, 1))
        verdict = "rejected, more than 10 times the dense loss" if self.rejected else "kept"
        return (
            f"trial, loss after {self.steps} Gauss-Newton steps: structured {structured}{further} "
            f"({self.parameters[0]} parameters), dense {dense} ({self.parameters[1]} parameters): {verdict}"
        )


@dataclass(frozen=True, repr=False)
class Discovery:
    """What was found.

    Attributes:
        problem: the problem.
        structure: of all networks with the accepted symmetries, blocks of size 1 (`Structure.with_width` scales them);
            dense layers where none was accepted.
        group: the accepted symmetries but the identity; maps are about the domain's centre, ``error`` is the teachers'
            asymmetry (0 where there is none).
        evidence: an `Evidence` per map, also of those that were rejected; prints as a table.
        distillation: of the given teacher, or of the trained ones together, or None.
        teachers: the trained networks, the best first.
        trial: structured against dense, or None where nothing was to be compared.
        notes: what went wrong or needs saying.
        seconds: by part.
        backend: the one asked for.
    """

    problem: Problem
    structure: Structure
    group: tuple[FoundSymmetry, ...]
    evidence: tuple[Evidence, ...]
    distillation: Distillation | None = None
    teachers: tuple[Trained, ...] = ()
    trial: Trial | None = None
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    backend: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", EvidenceTable(self.evidence))

    def __repr__(self) -> str:
        maps = ", ".join(match.text for match in self.group) or "none"
        structure = str(self.structure).splitlines()[0]
        return f"Discovery of {self.problem.name}: symmetries {maps}; {structure}; report() says why"

    def _repr_html_(self) -> str:
        """For notebooks: the structure in colour, and the evidence."""
        found = "; ".join(f"{match.text} ({match.symmetry.parity})" for match in self.group)
        trial = [] if self.trial is None else [self.trial.text()]
        return block(
            title(f"Discovery of {self.problem.name}"),
            badge(found or "no symmetry, the structure is dense", is_good=bool(self.group)),
            Markup(structure_html(self.structure)),
            preformatted(str(self.evidence)),
            lines([*trial, *self.notes]),
        )

    def report(self) -> str:
        """The finding in words: R, the evidence table, what was compared, what went wrong."""
        centre = ", ".join(f"{c:g}" for c in self.problem.domain.centre)
        found = "; ".join(f"{match.text} ({match.symmetry.parity})" for match in self.group)
        said = [
            f"{self.problem.name}: {found or 'no symmetry, the structure is dense'}",
            str(self.structure),
            "",
            f"evidence, maps about ({centre}):",
            str(self.evidence),
            "",
        ]
        if self.teachers:
            losses = ", ".join(f"{teacher.loss:.1e}" for teacher in self.teachers)
            said.append(f"teachers: {len(self.teachers)}, losses {losses}")
        if self.trial is not None:
            said.append(self.trial.text())
        said += self.notes
        if self.seconds:
            said.append("seconds: " + ", ".join(f"{part} {seconds:.1f}" for part, seconds in self.seconds.items()))
        if self.distillation is not None:
            said += ["", "distillation:", self.distillation.report()]
        return "\n".join(said)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        trial = None
        if self.trial is not None:
            trial = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self.trial).items()}
        return {
            "schema": DISCOVERY_SCHEMA,
            "problem": self.problem.name,
            "centre": self.problem.domain.centre.tolist(),
            "structure": json.loads(self.structure.to_json()),
            "text": str(self.structure),
            "group": [
                {"map": match.text, "character": list(match.symmetry.character), "error": match.error}
                for match in self.group
            ],
            "evidence": [row.to_dict() for row in self.evidence],
            "teachers": [{"seed": t.seed, "loss": t.loss, "seconds": round(t.seconds, 3)} for t in self.teachers],
            "trial": trial,
            "notes": list(self.notes),
            "seconds": {part: round(seconds, 3) for part, seconds in self.seconds.items()},
            "distillation": None if self.distillation is None else self.distillation.report(),
        }
