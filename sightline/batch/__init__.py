"""Many files one after the other, each as a run of its own, and what became of each.

manifest  What is known of each file, kept through kills
runs      The runs: what there is to do, and doing it
"""
