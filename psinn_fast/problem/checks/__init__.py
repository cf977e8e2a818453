"""What a problem is refused for when it is made, and what is known to speak against its result before any training."""
