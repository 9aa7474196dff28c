"""What is being watched: catalog, sessions, the four cases, counters, the number shown. Knows no ActivityPub."""
