"""Whole problems as each library's user would write them, one library a file: equations, and `solve` for all.

A file's ``LIBRARY`` is its package's name, ``EQUATIONS`` are the residuals by problem. What follows ``solve`` in a file
is no user's code: it only records.
"""
