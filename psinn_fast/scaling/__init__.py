"""How large everything in a problem is, and networks and loss terms in such units."""
