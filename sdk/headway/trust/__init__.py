"""TUF 1.0 for one repository per app: signing, ceremonies, verification, and the client that devices trust.

This is the only package that imports python-tuf and securesystemslib. Metadata bytes that were received travel and
are stored as they are; nothing is serialised again before it is hashed or verified.
"""
