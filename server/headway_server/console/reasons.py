"""Sentences that the registry wrote down in English, in the reader's language.

Decisions, waivers of an examination and the like are kept as one English sentence each (an audit record does not change
with its reader). Each sentence has a pattern here; what matches none is shown as it was written.
"""

from __future__ import annotations

import re

_STATES = {"halted": "已停止", "yanked": "已撤下"}

_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"The rollout is (halted|yanked); only a new release goes on\.", "灰度发布{0}；只有发布新版本才能继续。"),
    (
        r"(\d+) of (\d+) devices rolled back: too many to be chance\.",
        "{1} 台设备中有 {0} 台回滚：数量之多不可能是偶然。",
    ),
    (r"The publisher revoked the release\.", "发布者已撤销这个版本。"),
    (r"The release was recalled on this channel\.", "这个版本已在本通道召回。"),
    (
        r"The release left signed metadata: no device can take it any more\.",
        "这个版本已不在签名元数据中：不再有设备能获取它。",
    ),
    (r"An operator holds the rollout\.", "灰度发布由操作者暂停。"),
    (r"Too many devices installed it and then fell silent\.", "安装后不再上报的设备过多。"),
    (
        r"(\d+) of (\d+) devices rolled back: too many, but too few to judge\.",
        "{1} 台设备中有 {0} 台回滚：比例过高，但样本不足以判断。",
    ),
    (r"The rollout is complete and healthy\.", "灰度发布已完成，状况良好。"),
    (r"The stage soaks for another (\d+) s\.", "本阶段还需观察 {0} 秒。"),
    (r"(\d+) of the (\d+) confirmations that the stage needs\.", "本阶段需要 {1} 次确认，目前有 {0} 次。"),
    (r"Too few reports to exclude a bad release\.", "上报太少，还不能排除版本有问题。"),
    (r"(\d+) devices confirmed it; on to the next stage\.", "{0} 台设备已确认；进入下一阶段。"),
    (r"(\d+) devices confirmed it in the last stage\.", "{0} 台设备已在最后阶段确认。"),
    (r"Offered by an operator\.", "由操作者提供。"),
    (r"Yanked by an operator\.", "由操作者撤下。"),
    (r"Ordered by an operator\.", "由操作者下令。"),
    (r"validated here", "已在此检查"),
    (r"re-proven here", "已在此重新验证"),
    (r"not validated here: the server is installed without the extra sim", "未在此检查：服务器安装时未带 sim 组件"),
    (r"not re-proven here: the server is installed without the extra sim", "未在此重新验证：服务器安装时未带 sim 组件"),
    (r"not re-proven here: the base's manifest is gone", "未在此重新验证：基座清单缺失"),
)
_READ = tuple((re.compile(pattern), chinese) for pattern, chinese in _PATTERNS)
_HELD = " It is held."


def reason(sentence: str, language: str) -> str:
    """``sentence`` in the reader's language, where it is one of the registry's own."""
    if language != "zh":
        return sentence
    held = sentence.endswith(_HELD)
    found = _translated(sentence.removesuffix(_HELD))
    if found is None:
        return sentence
    return found + "保持暂停。" if held else found


def _translated(sentence: str) -> str | None:
    for pattern, chinese in _READ:
        match = pattern.fullmatch(sentence)
        if match is not None:
            return chinese.format(*(_STATES.get(part, part) for part in match.groups()))
    return None
