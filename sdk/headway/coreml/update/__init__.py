"""Training a head as Core ML's ``MLUpdateTask`` does, with Apple's names for keys, events and metrics.

What Apple documents is obeyed exactly: the loss formula, the parameters, their allowed sets and ranges, the events.
What nobody has published is a switch of :class:`~headway.coreml.update.semantics.Semantics`, with a reason for its
default.  Weights are float32, as on the device; bit-for-bit equality with a device is not claimed.
"""
