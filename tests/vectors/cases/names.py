"""Names, versions, release numbers and references."""

from __future__ import annotations

from form import Case, Json, digest, vectors


def _case(flag: str, value: Json, read: Json) -> Case:
    comment = f"{value!r}"[:60].encode("ascii", "replace").decode()
    return {"comment": comment, "flags": [flag], "value": value, "valid": read is not None, "read": read}


def build() -> Json:
    """``parse_name``, ``parse_version``, ``parse_release`` and ``parse_reference``."""
    names = ["a", "9", "topic", "kdconv-mobilebert", "a--b", "x" * 63]
    no_names: list[Json] = [
        "",
        "-a",
        "a-",
        "-",
        "A",
        "Topic",
        "a_b",
        "a.b",
        "a b",
        "a/b",
        "..",
        "x" * 64,
        "é",
        "ａ",
        "a\n",
        7,
        None,
        True,
    ]
    versions = {
        "0": [0, 0, 0],
        "17": [17, 0, 0],
        "17.4": [17, 4, 0],
        "26.0.1": [26, 0, 1],
        "999999.999999.999999": [999999] * 3,
    }
    no_versions: list[Json] = [
        "",
        "01",
        "1.",
        ".1",
        "1..2",
        "1.02",
        "1.2.3.4",
        "1.2-rc1",
        "v1",
        "-1",
        "1000000",
        " 1",
        "1\n",
        "１",
        1,
        None,
    ]
    releases = {"1": 1, "17": 17, "1000000": 1000000, "999999999": 999999999}
    no_releases: list[Json] = ["", "0", "01", "-1", "+1", "1000000000", "1.0", " 1", "1\n", "١", 1, None]
    topic = {"kind": "release", "name": "topic", "release": 17}
    references = {
        "topic@17": topic,
        "topic@stable": {"kind": "channel", "name": "topic", "channel": "stable"},
        "a@a": {"kind": "channel", "name": "a", "channel": "a"},
        "topic@17a": {"kind": "channel", "name": "topic", "channel": "17a"},
        digest("abc"): {"kind": "digest", "digest": digest("abc")},
    }
    no_references = [
        "",
        "topic",
        "@17",
        "topic@",
        "topic@0",
        "topic@017",
        "topic@1000000000",
        "topic@@17",
        "topic@17@18",
        "Topic@17",
        "topic@Stable",
        "topic @17",
        "topic@17\n",
        "sha256:",
        "sha256:abc",
        "sha512:" + "0" * 128,
    ]
    return vectors(
        "Names, versions, release numbers and references such as topic@17",
        {
            "Name": "an app, base, head or channel name",
            "Version": "a version, read as three numbers",
            "Release": "a release number in decimal",
            "Reference": "a release, a channel or a digest",
        },
        [
            *(_case("Name", n, n) for n in names),
            *(_case("Name", n, None) for n in no_names),
            *(_case("Version", v, list(read)) for v, read in versions.items()),
            *(_case("Version", v, None) for v in no_versions),
            *(_case("Release", r, read) for r, read in releases.items()),
            *(_case("Release", r, None) for r in no_releases),
            *(_case("Reference", r, read) for r, read in references.items()),
            *(_case("Reference", r, None) for r in no_references),
        ],
    )
