"""HTTP signatures: who sent a request, and that nobody changed it. Everything here is pure: no fetch, no clock."""
