"""The fitted value: tables, head, poolings and policies in NumPy, and all that serving needs."""
