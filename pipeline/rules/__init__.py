"""Rules: what is worth telling somebody, made of what tracks, zones, lines and streams do.

    tracks, events --StreamRules--> alert.started, alert.updated, alert.ended

``docs/rules.md`` says what each condition means. Modules:

- ``rule``: what a rule asks for, and whether that can be.
- ``schedule``: days and hours in a time zone.
- ``episodes``: since when each object meets a condition, however its detections flicker.
- ``members``: the objects that rules are about, kept once for all that are about the same.
- ``watch``: what conditions share. ``object_watches``: those that objects meet; ``stream_watches``: those that the
  stream as a whole does. ``watches``: which is whose.
- ``speed_bands``: whose speed makes a difference.
- ``stillness``: which objects have not moved, and since when.
- ``successors``: the new id of an object that was lost where it stands.
- ``alert``: an alert of a rule, from its start to its end.
- ``stream_rules``: all rules of a stream.
"""
