"""What the compiled engine is given, works with and fills, as records: numba takes named tuples as they are.

Matrices lie flat in one-dimensional arrays, of float32 or of float64 as the head's are.  Rows are padded with zeros to
whole vectors, rows of weights also to whole blocks of four; the padding takes part in every operation and stays what it
is (zero; for the scores so low that its probability is zero).
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Head", "Layout", "Pace", "Room", "Rule", "Samples", "Scores", "Span", "Trained"]

Flat = Any  # an array [n] of float32 or float64; numba knows the type of every field, mypy need not
Integers = Any  # an int64 array


class Head(NamedTuple):
    """The head that all start from: the first layer's *kernel* and *bias*, and all others' in *inner*."""

    kernel: Flat
    bias: Flat
    inner: Flat
    widths: Integers
    activations: Integers


class Samples(NamedTuple):
    """The samples of each job, and the mini-batches, which are common to all.

    *addresses* are those of float32 features ``[given, widths[0]]``, which must stay alive meanwhile.  *labels* has a
    row per job; samples beyond those *given* are zeros.  *rows* and *sizes* are a
    :class:`~headway.coreml.fleet.schedule.Schedule`.
    """

    addresses: Integers
    given: int
    labels: Integers
    rows: Integers
    sizes: Integers


class Rule(NamedTuple):
    """The optimizer, as :mod:`~headway.coreml.fleet.steps` takes it, and the loss: whether it is a *mean* or a sum.

    *keep* is the momentum or beta1, *keep2* the gradient's share or beta2; *hat* says where *eps* is added.  A training
    in which the input of a ReLU came nearer to zero than *kink* times the largest is given up.
    """

    kind: int
    rate: float
    keep: float
    keep2: float
    eps: float
    hat: bool
    mean: bool
    kink: float


class Pace(NamedTuple):
    """How one step is taken: the *kind* of optimizer, and its numbers in every lane of a vector; *rate* is negative.

    *keep* is the momentum or beta1, *fade* what it lacks to one, below zero, and *fade2* what beta2 lacks; *share* is
    the gradient's with momentum.
    """

    kind: int
    rate: Any
    keep: Any
    fade: Any
    share: Any
    fade2: Any
    eps: Any


class Scores(NamedTuple):
    """The scores of a mini-batch: *many* rows of *width* in *y* from *at* on, of the samples *rows* with *labels*.

    Their gradient, each sample weighing *share*, goes to the same place of *up*; the largest score and the sum of
    exponentials of row *i* to ``4 i`` of *highs* and *masses*.
    """

    y: Flat
    at: int
    many: int
    width: int
    labels: Integers
    rows: Integers
    share: Any
    up: Flat
    highs: Flat
    masses: Flat


class Span(NamedTuple):
    """Which epochs one call trains, of a training of Adam that goes on in another type.

    Unless *begin* is 0, each job goes on from its row of *weights*, *first* and *second*; unless *ends*, what it came
    to is left there.
    """

    begin: int
    end: int
    ends: bool
    weights: Any
    first: Any
    second: Any


class Trained(NamedTuple):
    """What is filled, with one row per job: a loss per epoch, the first layer without padding, the others with it."""

    losses: Any
    kernels: Any
    biases: Any
    inner: Any
    states: Integers


class Layout(NamedTuple):
    """Where everything lies: sizes with their padding, and where each layer's outputs begin."""

    sampled: bool
    samples: int
    many: int
    batch: int
    ins: int
    pitch: int
    outs: int
    before: int
    columns: Integers
    blob_at: Integers


class Room(NamedTuple):
    """Everything that a training writes to, used again for every job.

    *block* is float32.  *near* has, for every layer, the smallest and the largest distance of its outputs from the
    kink, lane by lane.
    """

    x: Flat
    gram: Flat
    start: Flat
    weights: Flat
    first: Flat
    second: Flat
    blobs: Flat
    ups: Flat
    highs: Flat
    masses: Flat
    block: Flat
    nothing: Flat
    near: Flat
    places: Integers
    at: Integers
    begin: Integers
    above: Integers
    still: Integers
