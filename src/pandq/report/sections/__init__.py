"""What a report says, before anybody knows how it is drawn."""
