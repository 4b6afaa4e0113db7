"""One folder a pipeline step; `shared` is what several steps speak."""
