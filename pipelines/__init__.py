"""What runs, in what order, where."""
