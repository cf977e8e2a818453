"""Output folders and pictures of results."""
