"""The rules of an updatable model, one idea per module.

A rule looks and reports; it never changes the model, never stops at the first fault of its kind, and never raises on
any message that protobuf could parse.  Each runs in time linear in the size of the message.
"""
