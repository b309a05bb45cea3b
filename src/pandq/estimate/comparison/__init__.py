"""One model against another, and a copy against its reference."""
