"""From Summaries to estimates with intervals."""
