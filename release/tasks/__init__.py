"""The Invoke tasks, by subject; tasks.py at the top gathers them.

Each parses its arguments, calls one function, prints its result.
"""
