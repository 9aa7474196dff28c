"""Webhooks: what happens here, told to host applications. Gathered, kept in SQL, delivered in order per video."""
