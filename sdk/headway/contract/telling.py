"""A decision as one sentence that a person understands, in English and Chinese: for CLI, console and API alike.

Pure, over what :func:`headway.contract.explain.explain` decided. It never decides anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from headway.contract.channel import ChannelDocument
from headway.contract.compat import SENTENCES, Reason
from headway.contract.explain import Choice, DeviceProfile, ordered_off
from headway.contract.targets import HeadTarget

LANGUAGES = ("en", "zh")
Told = tuple[str, str]
"""The same sentence in English and in Chinese."""


def tell_reasons(reasons: Iterable[Reason]) -> Told:
    """All reasons, each its sentence."""
    pairs = [SENTENCES[reason] for reason in reasons]
    return " ".join(english for english, _ in pairs), "".join(chinese for _, chinese in pairs)


def tell(
    name: str, profile: DeviceProfile, choice: Choice, channel: ChannelDocument | None, heads: Iterable[HeadTarget]
) -> Told:
    """What a device of this profile does about the head ``name``, and why.

    ``choice`` is what ``explain`` decided from the same ``channel`` and ``heads``.
    """
    heads = tuple(heads)
    left = _left(name, profile, channel, heads)
    running = _called(name, profile.current_release)
    chosen = choice.chosen
    if chosen is not None and (left is not None or chosen.release > profile.current_release):
        english, chinese = f"It takes {name}@{chosen.release}", f"它接受 {name}@{chosen.release}"
        if left is not None:
            return f"{english}; {running[0]} is to be left: {left[0]}", f"{chinese}；须放弃{running[1]}：{left[1]}"
        return f"{english} in place of {running[0]}.", f"{chinese}，取代{running[1]}。"
    if left is not None:
        return (
            f"It leaves {running[0]} for the release before it, or the embedded head: {left[0]}",
            f"它放弃{running[1]}，退回之前的版本或内嵌的分类头：{left[1]}",
        )
    english, chinese = f"It keeps {running[0]}", f"它保留{running[1]}"
    newest = choice.verdicts[0] if choice.verdicts else None
    if newest is not None and newest.release > profile.current_release and newest.reasons:
        why = tell_reasons(newest.reasons)
        return (
            f"{english}; {name}@{newest.release} is not for it: {why[0]}",
            f"{chinese}；{name}@{newest.release} 不适用：{why[1]}",
        )
    if newest is None:
        why = tell_reasons(choice.reasons)
        return f"{english}: {why[0]}", f"{chinese}：{why[1]}"
    return f"{english}; nothing newer is offered.", f"{chinese}；没有提供更新的版本。"


def _called(name: str, release: int) -> Told:
    return (f"{name}@{release}", f" {name}@{release}") if release else ("its embedded head", "内嵌的分类头")


def _left(
    name: str, profile: DeviceProfile, channel: ChannelDocument | None, heads: tuple[HeadTarget, ...]
) -> Told | None:
    """Why the release that runs is to be left, if it is."""
    running = next((h for h in heads if (h.name, h.release) == (name, profile.current_release)), None)
    if running is None or running.head not in ordered_off(channel, heads):
        return None
    recalled = channel is not None and running.head in channel.recalled()
    return SENTENCES[Reason.RECALLED if recalled else Reason.REVOKED]
