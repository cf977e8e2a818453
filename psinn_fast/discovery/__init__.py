"""Discovery of the relation matrix R: students, clusters, extraction, symmetry checks (docs/discovery.md)."""
