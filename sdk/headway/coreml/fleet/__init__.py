"""Training thousands of heads at once, with the results of the single engine.

Heads of one kind are stacked into blocks small enough for the cache and trained together: plain and momentum SGD in
sample space (:mod:`~headway.coreml.fleet.samplespace`), Adam directly (:mod:`~headway.coreml.fleet.adam`); whatever
fits neither goes through the single engine, so every head that can be trained at all can be trained here.
"""
