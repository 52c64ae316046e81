"""The platform beside its peers, measured in one run: `python -m benchmarks [part …]`."""
