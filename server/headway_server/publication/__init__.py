"""How signed metadata comes out: seal what changed in the database, then mirror it to the public tree.

Used by catalog and delivery alike. What always holds: the database decides, the public tree follows, and a device
that reads while we write sees the old set or the new one, never a mixture.
"""
