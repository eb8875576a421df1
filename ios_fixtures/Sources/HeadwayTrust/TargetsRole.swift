import HeadwayContract

/// A targets role: files it vouches for, and roles it delegates to.
struct TargetsRole: Sendable {
    let envelope: Envelope
    let targets: [String: JSONValue]
    let delegations: [Delegation]

    init(_ data: [UInt8]) throws(HeadwayError) {
        envelope = try Envelope(data, type: "targets")
        let fields = try envelope.fields("targets")
        (targets, delegations) = try judged { () throws(HeadwayError) in
            (try fields.nested("targets").value.members ?? [:], try Delegation.all(fields))
        }
    }

    /// The signed entry for `path`, or nil; throws `malformed_metadata`.
    func entry(_ path: String) throws(HeadwayError) -> (facts: FileFacts, custom: JSONValue?)? {
        guard let value = targets[path] else { return nil }
        return try judged { () throws(HeadwayError) in
            let fields = try Fields(value, document: "target")
            let facts = try FileFacts(fields, versioned: false)
            guard facts.length != nil, facts.hashes["sha256"] != nil else {
                throw fields.wrong("hashes", "SHA-256, beside a length")
            }
            return (facts, value.members?["custom"])
        }
    }
}

/// One delegated role: who speaks for which paths.
struct Delegation: Sendable {
    let name: String
    let keys: RoleKeys
    let isTerminating: Bool
    private let scope: Scope

    private enum Scope: Sendable {
        case patterns([String])
        case hashPrefixes([String])
        case bin(Int, ofBits: Int)
    }

    /// Whether the role may speak for `path`.
    func covers(_ path: String) -> Bool {
        switch scope {
        case .patterns(let patterns): return patterns.contains { matches(path, pattern: $0) }
        case .hashPrefixes(let prefixes):
            let hash = digestOf(path.utf8).hex
            return prefixes.contains { hash.hasPrefix($0) }
        case .bin(let number, let bits):
            let first = bytes(hex: digestOf(path.utf8).hex)?.prefix(4).reduce(0) { $0 << 8 | Int($1) } ?? 0
            return first >> (32 - bits) == number
        }
    }

    static func all(_ fields: Fields) throws(HeadwayError) -> [Delegation] {
        guard fields.has("delegations") else { return [] }
        let section = try fields.nested("delegations")
        let keys = try publicKeys(section)
        if section.has("succinct_roles") { return try bins(try section.nested("succinct_roles"), keys) }
        let all = try section.objects("roles") { (role) throws(HeadwayError) in
            Delegation(
                name: try role.anyText("name"), keys: try roleKeys(role, keys),
                isTerminating: try role.boolean("terminating"), scope: try scope(role)
            )
        }
        guard Set(all.map(\.name)).count == all.count else { throw section.wrong("roles", "a list of different roles") }
        return all
    }

    private static func scope(_ role: Fields) throws(HeadwayError) -> Scope {
        if role.has("path_hash_prefixes") { return .hashPrefixes(try role.texts("path_hash_prefixes")) }
        let patterns = try role.items("paths").compactMap(\.text)
        return .patterns(patterns)
    }

    private static func bins(_ fields: Fields, _ keys: [String: PublicKey]) throws(HeadwayError) -> [Delegation] {
        let bits = try fields.integer("bit_length", low: 1, high: 32)
        guard bits <= 16 else { throw fields.wrong("bit_length", "at most 16 here") }
        let prefix = try fields.anyText("name_prefix")
        let shared = try roleKeys(fields, keys)
        let width = (bits + 3) / 4
        return (0..<(1 << bits)).map { number in
            let hex = String(number, radix: 16)
            let name = "\(prefix)-\(String(repeating: "0", count: max(0, width - hex.count)))\(hex)"
            return Delegation(name: name, keys: shared, isTerminating: true, scope: .bin(number, ofBits: bits))
        }
    }
}

/// Whether `path` matches a shell-style pattern part by part: `*` and `?` never cross a `/`.
func matches(_ path: String, pattern: String) -> Bool {
    let slash = Unicode.Scalar("/")
    let parts = path.unicodeScalars.split(separator: slash, omittingEmptySubsequences: false)
    let patterns = pattern.unicodeScalars.split(separator: slash, omittingEmptySubsequences: false)
    return parts.count == patterns.count && zip(parts, patterns).allSatisfy { matchesPart(Array($0), Array($1)) }
}

private func matchesPart(_ text: [Unicode.Scalar], _ pattern: [Unicode.Scalar]) -> Bool {
    var (t, p) = (0, 0)
    var lastStar: (pattern: Int, text: Int)?
    while t < text.count {
        if p < pattern.count, pattern[p] == "*" {
            lastStar = (p, t)
            p += 1
        } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
            (p, t) = (p + 1, t + 1)
        } else if let star = lastStar {
            (p, t) = (star.pattern + 1, star.text + 1)
            lastStar = (star.pattern, t)
        } else {
            return false
        }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
}
