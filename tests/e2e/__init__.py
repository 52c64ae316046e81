"""The whole platform, from end to end."""
