"""What a person sees in the terminal: progress, live rates, the summary."""
