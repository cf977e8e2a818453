"""Plain torch versions of the operations: what every fast version is checked against."""
