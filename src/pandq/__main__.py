"""`python -m pandq`."""

from pandq.cli import main

main()
