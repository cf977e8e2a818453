"""Plain torch versions of the five operations: what every fast version is checked against."""
