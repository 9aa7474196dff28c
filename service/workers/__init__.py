"""Several processes of one instance: who starts them, how they reach each other, what makes them one."""
