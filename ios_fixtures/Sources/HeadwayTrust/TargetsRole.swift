import HeadwayContract

/// A targets role: files it vouches for, and roles it delegates to.
struct TargetsRole: Sendable {
    let envelope: Envelope
    let targets: [String: JSONValue]
    let delegations: Delegations

    init(_ data: [UInt8]) throws(HeadwayError) {
        envelope = try Envelope(data, type: "targets")
        let fields = try envelope.fields("targets")
        (targets, delegations) = try judged { () throws(HeadwayError) in
            (try fields.nested("targets").value.members ?? [:], try Delegations(fields))
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
