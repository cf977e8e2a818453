"""Studies of the method that one can run, look at and change (docs/studies.md)."""
