"""Training: one loop for every method, on one process or many."""
