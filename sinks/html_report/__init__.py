"""A page that shows what a store holds.

charts    The charts of the report, as SVG text
data      What a report shows of one run, read from a store of events
evidence  What happened in a run and has evidence, with its pictures, for a report
heatmap   Where objects were, as a picture laid over the scene
page      One page about a run, from a store of events
"""
