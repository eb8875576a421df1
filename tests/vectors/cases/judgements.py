"""Heads against what is really present."""

from __future__ import annotations

from form import Case, Json, digest, vectors

from cases.targets import HEAD

HOST: dict[str, object] = {
    "app": "headway-demo",
    "base": digest("base"),
    "contract": digest("contract"),
    "os": "18.1",
    "app_build": 120,
}


def _case(
    comment: str,
    flags: list[str],
    reasons: list[str],
    head: dict[str, object],
    host: dict[str, object],
    proof: str = "proof 17",
) -> Case:
    return {
        "comment": comment,
        "flags": flags,
        "head": {**HEAD, **head},
        "host": {**HOST, **host},
        "proof": None if reasons else digest(proof),
        "reasons": reasons,
    }


def build() -> Json:
    """``judge``."""
    other = digest("another base")
    two = [{"digest": other, "proof": digest("proof x")}, {"digest": digest("base"), "proof": digest("proof 2")}]
    twice = [
        {"digest": digest("base"), "proof": digest("first")},
        {"digest": digest("base"), "proof": digest("second")},
    ]
    every = {
        "status": "revoked",
        "app": "other-app",
        "bases": [],
        "contract": digest("c2"),
        "min_os": "19",
        "max_os": "17",
        "min_app_build": 999,
    }
    ordered = [
        "revoked",
        "wrong_app",
        "base_not_proven",
        "contract_mismatch",
        "os_too_old",
        "os_too_new",
        "app_too_old",
    ]
    good, bad = ["Compatible"], ["Incompatible"]
    return vectors(
        "Whether a head may run on the base that is present",
        {"Compatible": "may run; proof names the evidence", "Incompatible": "must not run; every reason, in order"},
        [
            _case("fits", good, [], {}, {}),
            _case("the base is the second of two", good, [], {"bases": two}, {}, "proof 2"),
            _case("the first edge counts", good, [], {"bases": twice}, {}, "first"),
            _case("exactly the oldest system", good, [], {"min_os": "18.1"}, {}),
            _case("18.1 is 18.1.0", good, [], {"min_os": "18.1.0", "max_os": "18.1.0"}, {}),
            _case("18.9 comes before 18.10", good, [], {"min_os": "18.9"}, {"os": "18.10"}),
            _case("exactly the oldest build", good, [], {"min_app_build": 120}, {}),
            _case("no oldest build", good, [], {"min_app_build": 0}, {"app_build": 0}),
            _case("another base id does not matter, the digest does", good, [], {"base_id": "renamed"}, {}),
            _case("revoked", bad, ["revoked"], {"status": "revoked"}, {}),
            _case("another app's head", bad, ["wrong_app"], {"app": "other-app"}, {}),
            _case("a base of another digest", bad, ["base_not_proven"], {}, {"base": other}),
            _case("no base proven", bad, ["base_not_proven"], {"bases": []}, {}),
            _case("another contract", bad, ["contract_mismatch"], {}, {"contract": digest("c2")}),
            _case("system a patch too old", bad, ["os_too_old"], {"min_os": "18.1.1"}, {}),
            _case("18.10 is newer than 18.9", bad, ["os_too_new"], {"max_os": "18.9"}, {"os": "18.10"}),
            _case("a patch past the newest system", bad, ["os_too_new"], {"max_os": "18.1"}, {"os": "18.1.1"}),
            _case("a build too old", bad, ["app_too_old"], {"min_app_build": 121}, {}),
            _case(
                "an app update brought another base and contract",
                bad,
                ["base_not_proven", "contract_mismatch"],
                {},
                {"base": other, "contract": digest("c2")},
            ),
            _case("everything at once", bad, ordered, every, {}),
        ],
    )
