"""Runs the compiled pipeline on this machine, one virtual environment or container a step."""
