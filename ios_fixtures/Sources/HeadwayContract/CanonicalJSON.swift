/// Canonical JSON over bytes, on the value space that Swift and Python read alike.
///
/// Foundation's sorted keys are not in byte order and its escapes differ between systems, hence the few lines here.

/// The canonical bytes of `value`; throws `malformed` exactly where ``checkValue(_:document:)`` does.
public func canonicalJSON(_ value: JSONValue, document: String = "document") throws(HeadwayError) -> [UInt8] {
    try checkValue(value, document: document)
    var bytes: [UInt8] = []
    write(value, to: &bytes)
    return bytes
}

/// The bytes that signatures of foreign documents are over: the same form, but with all of Unicode as text.
///
/// Throws `malformed` for a fraction, which has no form that two readers agree on.
public func signableJSON(_ value: JSONValue, document: String) throws(HeadwayError) -> [UInt8] {
    guard !holdsFraction(value) else { throw malformed(document, "$", "free of fractions") }
    var bytes: [UInt8] = []
    write(value, to: &bytes)
    return bytes
}

private func holdsFraction(_ value: JSONValue) -> Bool {
    switch value {
    case .fraction: true
    case .null, .bool, .integer, .text: false
    case .list(let items): items.contains(where: holdsFraction)
    case .object(let members): members.values.contains(where: holdsFraction)
    }
}

/// Refuses what has no canonical form: a fraction, a character outside printable ASCII, an integer beyond ±(2^53-1),
/// or nesting deeper than 32 levels.
public func checkValue(_ value: JSONValue, document: String) throws(HeadwayError) {
    try check(value, document, "$", JSONLimits.maxNesting)
}

/// Whether every character is one of U+0020 … U+007E; true for the empty text.
public func isPrintableASCII(_ text: String) -> Bool {
    text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
}

private func check(_ value: JSONValue, _ document: String, _ path: String, _ levels: Int) throws(HeadwayError) {
    switch value {
    case .null, .bool:
        return
    case .integer(let value):
        guard value.magnitude <= UInt(JSONLimits.maxInteger) else {
            throw malformed(document, path, "an integer within ±(2^53-1)")
        }
    case .fraction:
        throw malformed(document, path, "an integer, string, boolean, null, list or object (no floats)")
    case .text(let text):
        guard isPrintableASCII(text) else { throw malformed(document, path, "printable ASCII") }
    case .list(let items):
        guard levels > 0 else { throw tooDeep(document, path) }
        for (index, item) in items.enumerated() { try check(item, document, "\(path)[\(index)]", levels - 1) }
    case .object(let members):
        guard levels > 0 else { throw tooDeep(document, path) }
        for (key, item) in members {
            guard isPrintableASCII(key) else {
                throw malformed(document, path, "an object whose keys are printable ASCII")
            }
            try check(item, document, "\(path).\(key)", levels - 1)
        }
    }
}

private func tooDeep(_ document: String, _ path: String) -> HeadwayError {
    malformed(document, path, "nested at most \(JSONLimits.maxNesting) levels deep")
}

private func write(_ value: JSONValue, to bytes: inout [UInt8]) {
    switch value {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += String(value).utf8
    case .fraction(let written): bytes += written.utf8
    case .text(let text): write(text, to: &bytes)
    case .list(let items):
        bytes.append(UInt8(ascii: "["))
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(item, to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    case .object(let members):
        bytes.append(UInt8(ascii: "{"))
        for (index, member) in members.sorted(by: { precedes($0.key, $1.key) }).enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(member.key, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            write(member.value, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

private func write(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
        bytes.append(byte)
    }
    bytes.append(UInt8(ascii: "\""))
}
