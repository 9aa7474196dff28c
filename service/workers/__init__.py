"""Several processes of one instance on one machine: who starts them, and how they reach each other."""
