"""Reasons of decisions in Chinese: the server says its own in English, with figures inside; the demo has two more.

A reason that no pattern knows stands as it is in both languages: a newer server never makes a report unreadable.
"""

from __future__ import annotations

import re

from headway.fleet.report.words import Pair

_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"Offered by an operator\.", "由发布经理提供。"),
    (r"Ordered by an operator\.", "由发布经理下令。"),
    (r"(\d+) devices confirmed it; on to the next stage\.", r"\1 台设备已确认，进入下一阶段。"),
    (r"(\d+) devices confirmed it in the last stage\.", r"最后阶段已有 \1 台设备确认。"),
    (r"(\d+) of (\d+) devices rolled back: too many to be chance\.", r"\2 台中有 \1 台回滚：不可能是偶然。"),
    (
        r"(\d+) of (\d+) devices rolled back: too many, but too few to judge\.",
        r"\2 台中有 \1 台回滚：偏多，但数量不足以定论。",
    ),
    (r"Too many devices installed it and then fell silent\.", "过多设备安装后再无消息。"),
    (r"Most devices that tried it rolled it back", "试用过的设备多数已回滚"),
    (r"Rehearsal of a withdrawn data licence", "演练：数据许可已被收回"),
    (r"The rollout is complete and healthy\.", "灰度已完成且健康。"),
)


def reason_pair(reason: str) -> Pair:
    """A decision's reason in both languages."""
    for pattern, chinese in _PATTERNS:
        found = re.fullmatch(pattern, reason)
        if found is not None:
            return reason, found.expand(chinese)
    return reason, reason
