"""A small service on the real pipeline, and what tests need to try it: names, records, processes."""
