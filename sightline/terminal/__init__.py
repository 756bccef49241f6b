"""What a person sees in the terminal: progress, live rates, the summary.

preview   A window for each stream with its annotated picture
progress  What a person at a terminal sees
status    How live streams are doing, for a person
summary   The lines that a run ends with
"""
