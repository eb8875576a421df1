"""Whether a head may run on the base that is really present: ``judge``. Pure, total, and the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headway.contract.digests import Digest
from headway.contract.targets import HeadTarget
from headway.contract.versions import OsVersion


class Reason(StrEnum):
    """Why a head is not offered or not installed, in the order in which a person should hear them."""

    NO_COMPATIBLE_HEAD = "no_compatible_head"
    EXPIRED_METADATA = "expired_metadata"
    CLOCK = "clock"
    REVOKED = "revoked"
    RECALLED = "recalled"
    WRONG_APP = "wrong_app"
    BASE_NOT_PROVEN = "base_not_proven"
    CONTRACT_MISMATCH = "contract_mismatch"
    OS_TOO_OLD = "os_too_old"
    OS_TOO_NEW = "os_too_new"
    APP_TOO_OLD = "app_too_old"
    QUARANTINED_HERE = "quarantined_here"
    BELOW_FLOOR = "below_floor"
    HALTED = "halted"
    HELD_BY_ROLLOUT = "held_by_rollout"
    EXCLUDED = "excluded"


SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.NO_COMPATIBLE_HEAD: ("The channel offers no head of this name.", "通道没有提供这个名称的分类头。"),
    Reason.EXPIRED_METADATA: ("The signed metadata has expired.", "签名元数据已过期。"),
    Reason.CLOCK: (
        "The device's clock is behind the newest metadata it has seen.",
        "设备时钟早于已见过的最新元数据。",
    ),
    Reason.REVOKED: ("The publisher revoked the release.", "发布者已撤销这个版本。"),
    Reason.RECALLED: ("The release is recalled.", "这个版本已被召回。"),
    Reason.WRONG_APP: ("The release belongs to another app.", "这个版本属于另一个应用。"),
    Reason.BASE_NOT_PROVEN: (
        "No proof exists for this head on the device's base.",
        "没有该分类头在设备基座上的验证。",
    ),
    Reason.CONTRACT_MISMATCH: ("The head needs another feature contract.", "分类头需要另一个特征契约。"),
    Reason.OS_TOO_OLD: ("The operating system is too old.", "操作系统版本过低。"),
    Reason.OS_TOO_NEW: (
        "The operating system is newer than the release allows.",
        "操作系统版本高于允许范围。",
    ),
    Reason.APP_TOO_OLD: ("The app build is too old.", "应用版本过低。"),
    Reason.QUARANTINED_HERE: (
        "The release failed on this device and is in quarantine.",
        "这个版本在本机失败过，已被隔离。",
    ),
    Reason.BELOW_FLOOR: ("The device has confirmed a newer release.", "设备已确认过更新的版本。"),
    Reason.HALTED: ("The rollout is halted.", "灰度发布已停止。"),
    Reason.HELD_BY_ROLLOUT: ("The device is not yet in the rollout.", "设备尚未进入灰度范围。"),
    Reason.EXCLUDED: ("The device is in an excluded group.", "设备属于被排除的分组。"),
}
"""Each reason as one sentence, in English and Chinese."""


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What the head would run on: the base *present* (by digest), its contract, the app and the system."""

    app: str
    base: Digest
    contract: Digest
    os: OsVersion
    app_build: int


@dataclass(frozen=True, slots=True)
class Compatible:
    """The head may run here; ``proof`` is the digest of the proof for this base."""

    proof: Digest


@dataclass(frozen=True, slots=True)
class Incompatible:
    """The head must not run here; every reason, most fundamental first."""

    reasons: tuple[Reason, ...]


def judge(head: HeadTarget, host: HostProfile) -> Compatible | Incompatible:
    """Judge a head by its signed facts against what is really present.

    Called at publish (does it fit the bases it names?), by the server (may it be offered?) and on the device before
    every load, because an app update may bring another base.
    """
    reasons = []
    if head.status == "revoked":
        reasons.append(Reason.REVOKED)
    if head.app != host.app:
        reasons.append(Reason.WRONG_APP)
    proof = next((edge.proof for edge in head.bases if edge.digest == host.base), None)
    if proof is None:
        reasons.append(Reason.BASE_NOT_PROVEN)
    if head.contract != host.contract:
        reasons.append(Reason.CONTRACT_MISMATCH)
    if host.os < head.min_os:
        reasons.append(Reason.OS_TOO_OLD)
    if head.max_os is not None and host.os > head.max_os:
        reasons.append(Reason.OS_TOO_NEW)
    if host.app_build < head.min_app_build:
        reasons.append(Reason.APP_TOO_OLD)
    if proof is None or reasons:
        return Incompatible(tuple(reasons))
    return Compatible(proof)
