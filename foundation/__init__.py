"""The ground: small modules everyone needs. Nothing here knows a viewer, an activity or a peer."""
