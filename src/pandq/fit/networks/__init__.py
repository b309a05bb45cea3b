"""Networks fitted in epochs over batches."""
