"""What server, SDK, trainer and the Swift client agree on, byte for byte.

Everything here is pure: frozen values and functions of them, on the standard library alone. Nothing reads a
file, a clock or a network. The JSON vectors under ``ios_fixtures/vectors/`` bind this package to its Swift twin.
"""
