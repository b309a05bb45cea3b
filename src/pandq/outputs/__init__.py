"""What is written: tables and folders."""
