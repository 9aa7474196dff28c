"""The door out of an instance that several processes serve: its totals board and its viewers to tell, in Redis.

Imported by ``service`` alone; what it implements are the protocols of ``outbox.totals`` and ``outbox.tells``.
"""
