"""Headway's trainer: from a teacher and texts to a quantised base, heads and the evidence for both.

One module per step, each a function from a frozen configuration and inputs to an output and facts; `pipeline` runs
them in order inside a run folder and resumes where a run stopped. Only `headway_trainer.export` imports coremltools.
The trainer publishes nothing: signing and uploading are `headway.publisher`'s.
"""
