"""JSON texts that are or are not documents of ours, and their one canonical form."""

from __future__ import annotations

from form import Case, Json, vectors

_NOTES = {
    "Form": "spelling that the canonical form removes",
    "Order": "keys sort by bytes, not by locale, length or number",
    "Number": "integers within 2^53-1 only",
    "Text": "printable ASCII only",
    "Twice": "a key that stands twice",
    "Nesting": "32 levels and no more",
    "Syntax": "not JSON, or not what RFC 8259 calls JSON",
    "Encoding": "bytes that are not UTF-8",
    "NotObject": "a document is an object",
}


def _good(flag: str, comment: str, text: str, form: str) -> Case:
    return {"comment": comment, "flags": [flag], "json": text, "valid": True, "canonical": form}


def _bad(flag: str, comment: str, text: str | bytes) -> Case:
    case: Case = {"comment": comment, "flags": [flag]}
    if isinstance(text, bytes):
        return {**case, "json_hex": text.hex(), "valid": False}
    return {**case, "json": text, "valid": False}


def _valid() -> list[Case]:
    deep = '{"a":' + "[" * 31 + "]" * 31 + "}"
    return [
        _good("Form", "empty object", "{}", "{}"),
        _good("Form", "white space goes", ' {\t"a" :\r\n[ 1 , 2 ] } \n', '{"a":[1,2]}'),
        _good("Form", "the three names", '{"t":true,"f":false,"n":null}', '{"f":false,"n":null,"t":true}'),
        _good("Form", "true is not 1", '{"a":true,"b":1}', '{"a":true,"b":1}'),
        _good("Form", "false is not 0", '{"a":false,"b":0}', '{"a":false,"b":0}'),
        _good("Form", "escapes of printable ASCII are undone", '{"\\u0061":"\\u0041\\/"}', '{"a":"A/"}'),
        _good("Form", "quote and backslash are the only escapes", '{"a":"\\"\\\\"}', '{"a":"\\"\\\\"}'),
        _good("Form", "escaped quote by number", '{"a":"\\u0022\\u005C\\u005c"}', '{"a":"\\"\\\\\\\\"}'),
        _good("Form", "a slash stays bare", '{"a/b":"c/d"}', '{"a/b":"c/d"}'),
        _good("Form", "less-than and ampersand stay bare", '{"a":"<&>\'"}', '{"a":"<&>\'"}'),
        _good("Form", "empty key, text, list and object", '{"":"","b":[],"c":{}}', '{"":"","b":[],"c":{}}'),
        _good("Form", "the first and the last printable", '{"a":" ~"}', '{"a":" ~"}'),
        _good("Order", "capitals before small letters", '{"a":1,"B":2,"_":3}', '{"B":2,"_":3,"a":1}'),
        _good("Order", "10 before 9", '{"9":1,"10":2}', '{"10":2,"9":1}'),
        _good("Order", "a prefix first", '{"ab":1,"a":2,"a!":3}', '{"a":2,"a!":3,"ab":1}'),
        _good("Order", "inner objects too", '{"a":[{"d":1,"c":2}]}', '{"a":[{"c":2,"d":1}]}'),
        _good("Order", "lists keep theirs", '{"a":[3,1,2]}', '{"a":[3,1,2]}'),
        _good("Number", "minus zero is zero", '{"a":-0}', '{"a":0}'),
        _good("Number", "the largest", '{"a":9007199254740991}', '{"a":9007199254740991}'),
        _good("Number", "the smallest", '{"a":-9007199254740991}', '{"a":-9007199254740991}'),
        _good("Nesting", "32 levels", deep, deep),
    ]


def _invalid() -> list[Case]:
    numbers = [
        "1.0",
        "1e2",
        "1E2",
        "-1.5",
        "0.0",
        "1e400",
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
    ]
    numbers += ["1" + "0" * 5000]
    not_json = [
        "01",
        "-01",
        "+1",
        ".5",
        "1.",
        "1e",
        "-",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "True",
        "nul",
        "1_000",
    ]
    texts = [
        ("a control character, escaped", '{"a":"\\n"}'),
        ("NUL, escaped", '{"a":"\\u0000"}'),
        ("DEL", '{"a":"\x7f"}'),
        ("a letter past ASCII", '{"a":"é"}'),
        ("the same, escaped", '{"a":"\\u00e9"}'),
        ("an ideograph", '{"a":"头"}'),
        ("a pair of surrogates", '{"a":"\\ud83d\\ude00"}'),
        ("half a pair", '{"a":"\\ud83d"}'),
        ("the other half alone", '{"a":"\\ude00"}'),
        ("a key past ASCII", '{"é":1}'),
        ("a key with a control character", '{"\\t":1}'),
        ("no-break space in a text", '{"a":"\u00a0"}'),
    ]
    syntax = [
        ("nothing", ""),
        ("white space only", " \n"),
        ("a comma too many in an object", '{"a":1,}'),
        ("a comma too many in a list", '{"a":[1,]}'),
        ("a comma first", '{"a":[,1]}'),
        ("no comma", '{"a":1 "b":2}'),
        ("no colon", '{"a" 1}'),
        ("no value", '{"a":}'),
        ("an unquoted key", "{a:1}"),
        ("a number as key", "{1:1}"),
        ("single quotes", "{'a':1}"),
        ("a comment", '{"a":1}//x'),
        ("a second document", '{"a":1}{"b":2}'),
        ("cut off in an object", '{"a":1'),
        ("cut off in a list", '{"a":[1'),
        ("cut off in a text", '{"a":"b'),
        ("cut off in an escape", '{"a":"\\u00'),
        ("closed by the wrong bracket", '{"a":[1}'),
        ("an unknown escape", '{"a":"\\x41"}'),
        ("an escape with a sign", '{"a":"\\u+041"}'),
        ("a bare tab in a text", '{"a":"\t"}'),
        ("a bare line feed in a text", '{"a":"\n"}'),
        ("a form feed between", '{"a":\f1}'),
        ("a no-break space between", '{"a":\u00a01}'),
        ("a NUL after the end", '{"a":1}\x00'),
    ]
    encodings = [
        ("a byte that never stands in UTF-8", b'{"a":"\xff"}'),
        ("an overlong NUL", b'{"a":"\xc0\x80"}'),
        ("a surrogate in UTF-8", b'{"a":"\xed\xa0\x80"}'),
        ("a cut sequence", b'{"a":"\xe5\xa4"}'),
        ("UTF-16", '{"a":1}'.encode("utf-16-le")),
        ("a byte-order mark", b'\xef\xbb\xbf{"a":1}'),
    ]
    return [
        *(_bad("Number", f"{n[:24]} is no integer of ours", f'{{"a":{n}}}') for n in numbers),
        *(_bad("Syntax", f"{n} is no number or name", f'{{"a":{n}}}') for n in not_json),
        *(_bad("Text", c, t) for c, t in texts),
        _bad("Twice", "a key twice", '{"a":1,"a":1}'),
        _bad("Twice", "a key twice by an escape", '{"a":1,"\\u0061":2}'),
        _bad("Twice", "a key twice within", '{"a":[{"b":1,"b":2}]}'),
        _bad("Nesting", "33 levels of lists", '{"a":' + "[" * 32 + "]" * 32 + "}"),
        _bad("Nesting", "33 levels of objects", '{"a":' * 33 + "1" + "}" * 33),
        _bad("Nesting", "3,000 levels", '{"a":' + "[" * 3000 + "]" * 3000 + "}"),
        _bad("Nesting", "3,000 levels never closed", "[" * 3000),
        *(_bad("Syntax", c, t) for c, t in syntax),
        *(_bad("Encoding", c, t) for c, t in encodings),
        *(_bad("NotObject", f"{t} alone", t) for t in ("[]", "1", '"a"', "null", "true")),
    ]


def build() -> Json:
    """``decode`` and ``canonical_json``."""
    return vectors("JSON documents and their canonical bytes", _NOTES, [*_valid(), *_invalid()])
