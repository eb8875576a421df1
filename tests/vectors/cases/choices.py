"""Which release a device should hold, and why not another."""

from __future__ import annotations

from form import Case, Json, digest, vectors

from cases.decisions import OUT, case, head, offer


def _plain() -> list[Case]:
    both = [offer(16), offer(17)]
    return [
        case("the newest offered wins", "Chosen", [(17, []), (16, [])], 17, [], offers=both),
        case(
            "the order of offers and heads does not count",
            "Chosen",
            [(17, []), (16, [])],
            17,
            [],
            offers=both[::-1],
            heads=[head(16), head(17)],
        ),
        case("nothing newer than what runs", "Chosen", [(17, []), (16, [])], 17, [], offers=both, current_release=17),
        case(
            "what runs, while a newer one is held back",
            "Chosen",
            [(17, ["held_by_rollout"]), (16, [])],
            16,
            ["held_by_rollout"],
            offers=[offer(17, 0), offer(16)],
            current_release=16,
        ),
        case(
            "an older one for whom the newer is held back",
            "Chosen",
            [(17, ["held_by_rollout"]), (16, [])],
            16,
            [],
            offers=[offer(17, 0), offer(16)],
        ),
        case(
            "an older one than runs, where that is no longer offered",
            "Chosen",
            [(16, [])],
            16,
            [],
            offers=[offer(16)],
            current_release=17,
        ),
        case(
            "9 before 10",
            "Chosen",
            [(10, []), (9, [])],
            10,
            [],
            offers=[offer(9), offer(10)],
            heads=[head(9), head(10)],
        ),
        case("no offer at all", "NoCandidate", [], None, ["no_compatible_head"], offers=[]),
        case(
            "offers of another name",
            "NoCandidate",
            [],
            None,
            ["no_compatible_head"],
            offers=[{**offer(17), "name": "mood"}],
        ),
        case("an offer that nobody signed", "NoCandidate", [], None, ["no_compatible_head"], offers=[offer(18)]),
        case(
            "a signed head that is not offered",
            "NoCandidate",
            [],
            None,
            ["no_compatible_head"],
            offers=[],
            heads=[head(17)],
        ),
        case(
            "a head of another name",
            "NoCandidate",
            [],
            None,
            ["no_compatible_head"],
            offers=[offer(17)],
            heads=[head(17, name="mood")],
        ),
        case(
            "a head signed for another base id",
            "NoCandidate",
            [],
            None,
            ["no_compatible_head"],
            offers=[offer(17)],
            heads=[head(17, base_id="other")],
        ),
        case(
            "nothing there and everything stale",
            "NoCandidate",
            [],
            None,
            ["no_compatible_head", "expired_metadata", "clock"],
            offers=[],
            metadata_expired=True,
            clock_behind=True,
        ),
    ]


def _against() -> list[Case]:
    def one(reason: str, **change: object) -> Case:
        return case(reason.replace("_", " "), "Reason", [(17, [reason])], None, [reason], offers=[offer(17)], **change)  # type: ignore[arg-type]

    def rolled(comment: str, reason: str, proposed: dict[str, object], **profile: object) -> Case:
        return case(comment, "Reason", [(17, [reason])], None, [reason], offers=[proposed], heads=[head(17)], **profile)  # type: ignore[arg-type]

    only = [head(17)]
    return [
        one("expired_metadata", heads=only, metadata_expired=True),
        one("clock", heads=only, clock_behind=True),
        one("revoked", heads=[head(17, status="revoked")], off=[17]),
        one("recalled", heads=only, recalls=[17]),
        one("wrong_app", heads=[head(17, app="other-app")]),
        one("base_not_proven", heads=[head(17, bases=[])]),
        one("contract_mismatch", heads=[head(17, contract=digest("c2"))]),
        one("os_too_old", heads=[head(17, min_os="19")]),
        one("os_too_new", heads=[head(17, max_os="17.9")]),
        one("app_too_old", heads=[head(17, min_app_build=121)]),
        one("quarantined_here", heads=only, quarantined=[digest("head 17")]),
        one("below_floor", heads=only, floor_release=18, floor_head=digest("head 18")),
        rolled("halted", "halted", offer(17, state="halted")),
        rolled("halted wins over excluded", "halted", offer(17, state="halted", excludes=["kiosk"]), groups=["kiosk"]),
        rolled("held", "held_by_rollout", offer(17, state="held")),
        rolled("held for a pin too", "held_by_rollout", offer(17, state="held", pins=["qa"]), groups=["qa"]),
        rolled("not yet in the rollout", "held_by_rollout", offer(17, 1000), install_id=OUT),
        rolled("excluded", "excluded", offer(17, excludes=["kiosk"]), groups=["kiosk"]),
        rolled("excluded and pinned", "excluded", offer(17, pins=["qa"], excludes=["kiosk"]), groups=["qa", "kiosk"]),
    ]


def _rollout() -> list[Case]:
    kept = [(17, []), (16, [])]
    return [
        case("in at 10 %", "Rollout", kept, 17, [], offers=[offer(17, 1000), offer(16)]),
        case(
            "a pin is in at 0",
            "Rollout",
            kept,
            17,
            [],
            offers=[offer(17, 0, pins=["qa"]), offer(16)],
            install_id=OUT,
            groups=["qa"],
        ),
        case(
            "what runs stays when its rollout is lowered",
            "Rollout",
            kept,
            17,
            [],
            offers=[offer(17, 0), offer(16)],
            current_release=17,
        ),
        case(
            "what runs stays when its rollout is halted",
            "Rollout",
            kept,
            17,
            [],
            offers=[offer(17, state="halted"), offer(16)],
            current_release=17,
        ),
        case(
            "what runs stays for an excluded group",
            "Rollout",
            kept,
            17,
            [],
            offers=[offer(17, excludes=["kiosk"]), offer(16)],
            current_release=17,
            groups=["kiosk"],
        ),
    ]


def _floor() -> list[Case]:
    all_three = [head(18), head(17), head(16)]
    offers = [offer(16), offer(17), offer(18)]
    floor18: dict[str, object] = {"floor_release": 18, "floor_head": digest("head 18"), "current_release": 18}
    lifted = [(18, ["recalled"]), (17, []), (16, [])]
    return [
        case(
            "the floor itself is allowed",
            "Floor",
            [(18, []), (17, ["below_floor"]), (16, ["below_floor"])],
            18,
            [],
            offers=offers,
            heads=all_three,
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "a recall of the floor lifts it",
            "Floor",
            lifted,
            17,
            ["recalled"],
            offers=offers,
            heads=all_three,
            recalls=[18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "a recall of another release does not",
            "Floor",
            [(17, ["recalled", "below_floor"]), (16, ["below_floor"])],
            None,
            ["recalled", "below_floor"],
            offers=offers,
            heads=[head(17), head(16)],
            recalls=[17],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "a recall lifts it although the floor is not offered",
            "Floor",
            [(16, [])],
            16,
            [],
            offers=[offer(16)],
            heads=all_three,
            recalls=[18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "a revocation of the floor by its publisher lifts it",
            "Floor",
            [(18, ["revoked"]), (17, []), (16, [])],
            17,
            ["revoked"],
            offers=offers,
            heads=[head(18, status="revoked"), head(17), head(16)],
            off=[18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "revoked under one number, live under another: the bytes stay, and so does the floor",
            "Floor",
            [(19, []), (18, ["revoked"]), (17, ["below_floor"])],
            19,
            [],
            offers=[*offers[1:], offer(19)],
            heads=[head(19, head=digest("head 18")), head(18, status="revoked"), head(17)],
            off=[],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "what left the metadata is no order",
            "Floor",
            [(17, ["below_floor"])],
            None,
            ["below_floor"],
            offers=[offer(17)],
            heads=[head(17)],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "recalled by the channel and revoked by the publisher",
            "Floor",
            [(18, ["recalled"]), (17, ["revoked"]), (16, [])],
            16,
            ["recalled"],
            offers=offers,
            heads=[head(18), head(17, status="revoked"), head(16)],
            recalls=[18],
            off=[17, 18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "the way back may be recalled too",
            "Floor",
            [(18, ["recalled"]), (17, ["recalled"]), (16, [])],
            16,
            ["recalled"],
            offers=offers,
            heads=all_three,
            recalls=[17, 18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "nothing left after recalls",
            "Floor",
            [(18, ["recalled"])],
            None,
            ["recalled"],
            offers=[offer(18)],
            heads=[head(18)],
            recalls=[18],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "old bytes under a new number",
            "Floor",
            [(19, [])],
            19,
            [],
            offers=[offer(19)],
            heads=[head(19, head=digest("head 16"))],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "recalled bytes under a new number",
            "Floor",
            [(19, ["recalled"])],
            None,
            ["recalled"],
            offers=[offer(19)],
            heads=[head(19, head=digest("head 16"))],
            recalls=[16],
            **floor18,
        ),  # type: ignore[arg-type]
        case(
            "quarantined bytes under a new number",
            "Floor",
            [(19, ["quarantined_here"])],
            None,
            ["quarantined_here"],
            offers=[offer(19)],
            heads=[head(19, head=digest("head 16"))],
            quarantined=[digest("head 16")],
        ),
    ]


def _together() -> list[Case]:
    worst = head(
        17,
        status="revoked",
        app="other-app",
        bases=[],
        contract=digest("c2"),
        min_os="19",
        max_os="17",
        min_app_build=999,
    )
    order = [
        "expired_metadata",
        "clock",
        "revoked",
        "recalled",
        "wrong_app",
        "base_not_proven",
        "contract_mismatch",
        "os_too_old",
        "os_too_new",
        "app_too_old",
        "quarantined_here",
        "below_floor",
    ]
    everything: dict[str, object] = {
        "metadata_expired": True,
        "clock_behind": True,
        "quarantined": [digest("head 17")],
        "floor_release": 18,
        "floor_head": digest("head 18"),
    }
    return [
        case(
            f"every reason, and {last}",
            "Order",
            [(17, [*order, last])],
            None,
            [*order, last],
            offers=[proposed],
            heads=[worst],
            recalls=[17],
            groups=["kiosk"],
            **everything,
        )  # type: ignore[arg-type]
        for last, proposed in (
            ("halted", offer(17, state="halted")),
            ("held_by_rollout", offer(17, 0)),
            ("excluded", offer(17, excludes=["kiosk"])),
        )
    ]


def build() -> Json:
    """``explain``."""
    return vectors(
        "Which release a device should hold, with every reason against the others",
        {
            "Chosen": "which of several",
            "NoCandidate": "nothing to choose from",
            "Reason": "one reason against",
            "Rollout": "who is in, and who stays in",
            "Floor": "never older than what was confirmed, but for an order off it; ordered_off: what to leave at once",
            "Order": "reasons in the order in which a person should hear them",
        },
        [*_plain(), *_against(), *_rollout(), *_floor(), *_together()],
    )
