"""Arrays in, one float64 per row out; no input or output."""
