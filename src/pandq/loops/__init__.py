"""In the loop: audits and comparisons that are fed batch by batch."""
