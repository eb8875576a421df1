"""Webhooks: who is told, signing, sending, trying again. What is to be sent stands in the outbox (``publication``)."""
