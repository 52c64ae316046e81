"""What is measured: each module runs in a process of its own and prints its result as the last line, in JSON."""
