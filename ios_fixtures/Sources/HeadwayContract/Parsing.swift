/// Strict reading of decoded JSON: each field is asked for by name and type, and a wrong one is named by its path.
///
/// Unknown fields are ignored, so that an old device can read what a newer publisher signed; a field that is required
/// to understand a document is announced by a new `schema` number instead.

/// The JSON object in `data`, within the value space of ``checkValue(_:document:)``.
public func decode(_ data: [UInt8], document: String) throws(HeadwayError) -> Fields {
    let value = try JSONParser.parse(data, document: document, maxNesting: JSONLimits.maxNesting)
    try checkValue(value, document: document)
    return try Fields(value, document: document)
}

/// Any JSON value in `data`, fractions and all Unicode included: for documents that are not ours.
public func decodeAnyJSON(_ data: [UInt8], document: String) throws(HeadwayError) -> JSONValue {
    try JSONParser.parse(data, document: document, maxNesting: 128)
}

/// A JSON object being read. Every method throws `malformed` for a wrong field.
public struct Fields: Sendable {
    private let members: [String: JSONValue]
    private let document: String
    private let path: String

    public init(_ value: JSONValue?, document: String, path: String = "$") throws(HeadwayError) {
        guard let members = value?.members else { throw malformed(document, path, "an object") }
        self.members = members
        self.document = document
        self.path = path
    }

    /// The whole object.
    public var value: JSONValue { .object(members) }

    private func at(_ name: String) -> String { "\(path).\(name)" }

    /// The error for field `name`, for checks that a caller adds.
    public func wrong(_ name: String, _ expected: String) -> HeadwayError { malformed(document, at(name), expected) }

    /// Whether the field is there and not null.
    public func has(_ name: String) -> Bool {
        guard let value = members[name] else { return false }
        return value != .null
    }

    /// The names of all fields present, in byte order.
    public var names: [String] { members.keys.sorted(by: precedes) }

    /// Printable ASCII of `minLength` … `maxLength` characters.
    public func text(_ name: String, minLength: Int = 0, maxLength: Int = 4096) throws(HeadwayError) -> String {
        guard let text = members[name]?.text, isPrintableASCII(text), (minLength...maxLength).contains(text.utf8.count)
        else { throw wrong(name, "printable ASCII of \(minLength) to \(maxLength) characters") }
        return text
    }

    /// Any text at all, of at most `maxLength` bytes: for documents that are not ours.
    public func anyText(_ name: String, maxLength: Int = 65_536) throws(HeadwayError) -> String {
        guard let text = members[name]?.text, text.utf8.count <= maxLength else {
            throw wrong(name, "a string of at most \(maxLength) bytes")
        }
        return text
    }

    /// One of the raw values of `Choice`.
    public func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, of type: Choice.Type = Choice.self
    ) throws(HeadwayError) -> Choice {
        guard let choice = Choice(rawValue: try text(name)) else {
            throw wrong(name, "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return choice
    }

    /// An integer within `low` … `high`; a boolean is not an integer.
    public func integer(
        _ name: String, low: Int = 0, high: Int = JSONLimits.maxInteger
    ) throws(HeadwayError) -> Int {
        guard let value = members[name]?.integer, low <= value, value <= high else {
            throw wrong(name, "an integer from \(low) to \(high)")
        }
        return value
    }

    /// `true` or `false`.
    public func boolean(_ name: String) throws(HeadwayError) -> Bool {
        guard let value = members[name]?.bool else { throw wrong(name, "true or false") }
        return value
    }

    /// A digest.
    public func digest(_ name: String) throws(HeadwayError) -> Digest {
        try Digest(parsing: members[name], document: document, path: at(name))
    }

    /// What `read` gives where the field is there and not null.
    public func optional<T>(
        _ name: String, _ read: (String) throws(HeadwayError) -> T
    ) throws(HeadwayError) -> T? {
        has(name) ? try read(name) : nil
    }

    /// A nested object.
    public func nested(_ name: String) throws(HeadwayError) -> Fields {
        try Fields(members[name], document: document, path: at(name))
    }

    /// A list of at most `most` items, as they are.
    public func items(_ name: String, most: Int = 10_000) throws(HeadwayError) -> [JSONValue] {
        guard let items = members[name]?.items, items.count <= most else {
            throw wrong(name, "a list of at most \(most) items")
        }
        return items
    }

    /// A list of objects, each read by `read`.
    public func objects<T>(
        _ name: String, most: Int = 10_000, _ read: (Fields) throws(HeadwayError) -> T
    ) throws(HeadwayError) -> [T] {
        var objects: [T] = []
        for (index, item) in try items(name, most: most).enumerated() {
            objects.append(try read(try Fields(item, document: document, path: "\(at(name))[\(index)]")))
        }
        return objects
    }

    /// A list of texts of printable ASCII.
    public func texts(_ name: String, most: Int = 10_000) throws(HeadwayError) -> [String] {
        let items = try items(name, most: most)
        let texts = items.compactMap(\.text).filter(isPrintableASCII)
        guard texts.count == items.count else { throw wrong(name, "a list of strings of printable ASCII") }
        return texts
    }

    /// The field `schema`, which must not be newer than `known`.
    public func schema(_ known: Int) throws(HeadwayError) {
        guard try integer("schema", low: 1) <= known else {
            throw wrong("schema", "at most \(known) (written by a newer Headway)")
        }
    }
}
