"""What is written to files and read from them, and how what was read is checked."""
