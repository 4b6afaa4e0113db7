"""The training engine that train and tune share."""
