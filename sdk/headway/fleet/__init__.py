"""A fleet of simulated devices: real clients, the real server over loopback HTTP, a simulated world between them.

What is simulated is time, the network's and the disk's faults, and the people. What is real is everything under
test: the device client with its store and trust, the Core ML runtime, the publisher, the server.
"""
