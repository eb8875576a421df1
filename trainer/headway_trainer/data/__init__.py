"""Texts: reading corpora with their digests, tokenising them, and making batches of equal length."""
