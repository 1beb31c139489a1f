"""What it means that a task owns a remote job: who is adopted, who is waited for, and how long."""
