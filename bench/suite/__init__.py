"""One registry of cases, one way to measure them, one way to compare and show what was measured (README.md)."""
