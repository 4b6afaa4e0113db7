"""`python -m pipelines` is the command line."""

from pipelines.cli import app

app(prog_name="sightline")
