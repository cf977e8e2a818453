"""From a structure to the plan with the least work."""
