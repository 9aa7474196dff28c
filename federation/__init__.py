"""Identity and protocol: keys, signatures, documents, peers, the activity vocabulary. Knows no viewer."""
