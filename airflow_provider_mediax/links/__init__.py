"""Links of the tasks to where their objects can be looked at."""
