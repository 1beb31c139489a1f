"""What the emulated services have in common: accounts, objects, faults, what tests decided, what happened."""
