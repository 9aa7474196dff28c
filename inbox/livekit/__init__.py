"""A LiveKit server's webhooks: its rooms are live videos of ours, who is in them watches."""
