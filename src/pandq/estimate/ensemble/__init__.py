"""What the members of an ensemble disagree about."""
