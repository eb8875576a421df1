/// Outcomes: what a device reports. No identifier of user or device, no text, no weights, no exact time.

/// Accuracy gained on the local holdout, in percentage points, bucketed so that it says nothing about one person.
public enum Gain: String, CaseIterable, Sendable {
    case worse
    case none
    case upTo1 = "0-1"
    case upTo5 = "1-5"
    case upTo20 = "5-20"
    case over20 = "over-20"

    /// The bucket of a gain in percentage points; NaN, a gain over nothing, is ``worse``.
    public init(points: Double) {
        switch points {
        case 0...1e-9: self = .none
        case 0...1: self = .upTo1
        case 0...5: self = .upTo5
        case 0...20: self = .upTo20
        case 20...: self = .over20
        default: self = .worse
        }
    }
}

/// One event.
public struct Outcome: Equatable, Sendable {
    public static let schema = 1

    /// What happened.
    public enum Kind: String, CaseIterable, Sendable {
        case installed, confirmed
        case rolledBack = "rolled_back"
        case refused, personalised, rebased, recalled

        var hasDetail: Bool { [.rolledBack, .refused, .rebased, .recalled].contains(self) }
        var hasGain: Bool { [.personalised, .rebased].contains(self) }
    }

    /// A random key, drawn per event, that makes a report idempotent: 32 lower-case hex digits.
    public let event: String
    public let kind: Kind
    public let channel: String
    public let base: Digest
    public let name: String
    public let release: Int
    public let head: Digest
    /// A reason code or rebase policy.
    public let detail: String?
    public let gain: Gain?

    /// An outcome that the device reports itself; the caller gives what the kind needs.
    public init(
        event: String, kind: Kind, channel: String, base: Digest, name: String, release: Int, head: Digest,
        detail: String?, gain: Gain?
    ) {
        (self.event, self.kind, self.channel, self.base, self.name) = (event, kind, channel, base, name)
        (self.release, self.head, self.detail, self.gain) = (release, head, detail, gain)
    }

    /// Reads an outcome; what a kind needs must be there, what it cannot have must not. Throws `malformed`.
    public init(_ value: JSONValue?) throws(HeadwayError) {
        let fields = try Fields(value, document: "outcome")
        try fields.schema(Self.schema)
        kind = try fields.choice("kind")
        detail = try fields.optional("detail") { (name) throws(HeadwayError) in
            try parseDetail(try fields.text(name, maxLength: 64))
        }
        gain = try fields.optional("gain") { (name) throws(HeadwayError) in try fields.choice(name) }
        guard (detail != nil) == kind.hasDetail else {
            throw fields.wrong("detail", "present exactly for kinds that have one")
        }
        guard (gain != nil) == kind.hasGain else { throw fields.wrong("gain", "present exactly for kinds that have one") }
        event = try parseEvent(try fields.text("event", maxLength: 64))
        channel = try parseName(try fields.text("channel"), what: "channel")
        base = try fields.digest("base")
        name = try parseName(try fields.text("name"), what: "head name")
        release = try fields.integer("release", high: maxRelease)
        head = try fields.digest("head")
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "schema": .integer(Self.schema),
            "event": .text(event),
            "kind": .text(kind.rawValue),
            "channel": .text(channel),
            "base": .text(base.text),
            "name": .text(name),
            "release": .integer(release),
            "head": .text(head.text),
        ]
        members["detail"] = detail.map(JSONValue.text)
        members["gain"] = gain.map { .text($0.rawValue) }
        return .object(members)
    }
}

private func parseEvent(_ text: String) throws(HeadwayError) -> String {
    guard text.utf8.count == 32, isLowerHex(text.utf8) else {
        throw malformed("outcome", "$.event", "32 lower-case hex digits")
    }
    return text
}

/// A reason code: lower-case letters, digits and underscores, so that no text of a user can slip in.
private func parseDetail(_ text: String) throws(HeadwayError) -> String {
    let isCode = text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    guard !text.isEmpty, isCode else { throw malformed("outcome", "$.detail", "a code of a-z, 0-9 and _") }
    return text
}
