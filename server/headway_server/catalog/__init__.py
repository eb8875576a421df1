"""Use cases of publishing: apps, tokens, trust, uploads, bases, heads, lineage, proofs, audit.

Each function takes the ports and says in one place what must hold before anything is written.
"""
