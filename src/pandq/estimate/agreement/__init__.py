"""What votes say by themselves, before there is any model."""
