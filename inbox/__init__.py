"""The door in: a signed request of another server is verified, judged and handed to the towers."""
