"""Training thousands of heads at once, with the results of the single engine.

Heads that are stacks of dense layers go through compiled code, many whole trainings per call
(:mod:`~headway.coreml.fleet.kernels`): SGD in sample space where that is less work, Adam with everything in the
processor's cache.  Whatever else can be trained goes through the single engine, so every head that can be trained at
all can be trained here.
"""
