"""Pictures: solutions, losses, structures, flows. Only drawing imports matplotlib."""
