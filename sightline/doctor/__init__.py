"""What this machine and a source can do, and what holds them back."""
