"""Executing NeuralNetwork models in float32 numpy: forward for predictions, backward for training.

Covers the layers that an updatable head may have.  A blob is an array ``[n, channels]`` or, where it has a spatial
extent, ``[n, channels, height, width]``; ``n`` is our own leading batch axis, everything else follows RANK5 array
mapping.  A layer of another kind is one clear error that names it, never an approximation.
"""
