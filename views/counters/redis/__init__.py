"""Live state of many processes in Redis: viewers and totals, what origins were told, claims, watch progress."""
