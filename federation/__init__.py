"""How instances talk: identity, signatures, peers and the activity vocabulary. It knows no viewer."""
