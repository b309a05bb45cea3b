"""Who does the summing: an engine maps `of` over chunks and merges in chunk order."""
