"""What no published source settles about Apple's training engine, as explicit switches.

Grades of the reasons: *documented* (Apple's headers, source or documentation), *hint* (third-party analysis of the
binaries: good enough to choose a default, never stated as fact), *open* (nobody knows; the default is a choice).  The
calibration kit (``headway coreml calibrate``) lets a person with an iPhone decide each of them.
With momentum 0, shuffle off and mini-batches that divide the samples evenly only ``loss_reduction`` matters; with
mini-batches of one sample not even that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from headway.contract.errors import malformed

__all__ = ["DEFAULT_SEMANTICS", "REASONS", "Semantics"]

LossReduction = Literal["mean", "sum"]
MseReduction = Literal["mean_elements", "mean_batch", "sum"]
PartialBatch = Literal["keep", "drop", "wrap", "stale", "zero_pad"]
MomentumForm = Literal["heavy_ball", "velocity", "nesterov", "dampened"]
AdamEpsilon = Literal["hat", "outside"]
ShuffleRule = Literal["libcxx", "none"]
ReshuffleWhen = Literal["registered_epoch_end", "every_epoch", "never"]


@dataclass(frozen=True)
class Semantics:
    """The switches; :data:`REASONS` says why each default is what it is.

    * ``loss_reduction``: cross-entropy over a mini-batch is the mean or the sum of its samples.
    * ``mse_reduction``: mean over all elements, sum over elements and mean over samples, or sum of everything.
    * ``partial_batch``: the last, smaller mini-batch is used as it is (``keep``), left out (``drop``), or filled: from
      the start of the epoch's order (``wrap``), with what the buffer held before (``stale``), or with zeros
      (``zero_pad``).
    * ``momentum_form``: ``heavy_ball`` v ← m v + g, w ← w − lr v; ``velocity`` v ← m v − lr g, w ← w + v (they differ
      when the rate changes); ``nesterov`` w ← w − lr (g + m v) with the first v; ``dampened`` v ← m v + (1 − m) g.
    * ``adam_epsilon``: ``hat`` adds eps to √v before the bias correction, ``outside`` to the corrected √v̂.
    * ``shuffle_rule``: ``libcxx`` is std::shuffle with std::minstd_rand; ``none`` leaves the order alone.
    * ``reshuffle``: again at each epoch end when the app registered that event, at every epoch end, or never.
    * ``completion_after_cancel``: whether the completion handler runs after ``cancel()``.
    """

    loss_reduction: LossReduction = "mean"
    mse_reduction: MseReduction = "mean_elements"
    partial_batch: PartialBatch = "keep"
    momentum_form: MomentumForm = "heavy_ball"
    adam_epsilon: AdamEpsilon = "hat"
    shuffle_rule: ShuffleRule = "libcxx"
    reshuffle: ReshuffleWhen = "registered_epoch_end"
    completion_after_cancel: bool = False

    def to_json(self) -> dict[str, str | bool]:
        """Return the switches as a JSON object; inverse of :meth:`from_json`."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, value: object) -> Semantics:
        """Read switches; those left out keep their default.

        Raises:
            RefusedError: code ``malformed``, for an unknown switch or setting.
        """
        if not isinstance(value, dict):
            raise malformed("semantics", "$", "an object")
        chosen: dict[str, Any] = {}
        for name, setting in value.items():
            allowed = CHOICES.get(name, ())
            if not any(type(setting) is type(choice) and setting == choice for choice in allowed):
                raise malformed("semantics", str(name), f"one of {CHOICES.get(name, sorted(CHOICES))}")
            chosen[name] = setting
        return cls(**chosen)


CHOICES: dict[str, tuple[str | bool, ...]] = {
    "loss_reduction": get_args(LossReduction),
    "mse_reduction": get_args(MseReduction),
    "partial_batch": get_args(PartialBatch),
    "momentum_form": get_args(MomentumForm),
    "adam_epsilon": get_args(AdamEpsilon),
    "shuffle_rule": get_args(ShuffleRule),
    "reshuffle": get_args(ReshuffleWhen),
    "completion_after_cancel": (False, True),
}
"""The settings of each switch."""

REASONS = {
    "loss_reduction": "open: learning rates in published apps are ordinary ones, which fits the mean",
    "mse_reduction": "hint: the mean over all elements",
    "partial_batch": "hint: an epoch has ceil(n / batch) mini-batches, so the last is kept; how it is filled is open",
    "momentum_form": "open: BNNS has several; with momentum 0 all are plain SGD",
    "adam_epsilon": "documented for BNNS ('similar to epsilon hat'); whether this task uses that kernel is open",
    "shuffle_rule": "hint: an index list, std::minstd_rand (state 1, or std::seed_seq of the seed), std::shuffle",
    "reshuffle": "hint: once at the start; again at an epoch end only when the app registered that event",
    "completion_after_cancel": "reported by app developers: the completion handler is not called after cancel()",
}
"""Why each default is what it is, with its grade."""

DEFAULT_SEMANTICS = Semantics()
"""The defaults: the best knowledge there is without a device."""
