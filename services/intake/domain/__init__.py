"""What intake decides, free of I/O: what a request may say, what is kept of it, and what follows."""
