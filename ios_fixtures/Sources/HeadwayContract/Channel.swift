/// The channel document: what the online key may say.
///
/// It can only choose among heads that the publisher signed, narrow who gets them, order devices off one (recall), and
/// stop personalising. It cannot name a file or a key.

/// How an offer stands.
public enum OfferState: String, CaseIterable, Sendable {
    /// Offered.
    case active
    /// Kept where it is, offered to nobody new.
    case held
    /// The same, because the rollout's health stopped it.
    case halted
}

/// What the channel says about personalising a head.
public enum PersonaliseDirective: String, CaseIterable, Sendable {
    case allow
    /// Train no more.
    case hold
    /// Also leave personal generations.
    case discard
}

/// One head release offered to a share of devices.
public struct Offer: Equatable, Sendable {
    public let name: String
    public let release: Int
    public let state: OfferState
    public let rollout: Rollout

    init(_ fields: Fields) throws(HeadwayError) {
        name = try parseName(try fields.text("name"), what: "head name")
        release = try fields.integer("release", low: 1, high: maxRelease)
        state = try fields.choice("state")
        rollout = try Rollout(try fields.nested("rollout"))
    }

    var json: JSONValue {
        .object([
            "name": .text(name), "release": .integer(release), "state": .text(state.rawValue), "rollout": rollout.json,
        ])
    }
}

/// An order to leave a head, by the digest of its bytes, whoever holds it.
public struct Recall: Equatable, Sendable {
    public let digest: Digest
    public let reason: String
}

/// What one channel says to devices with one base. `epoch` grows by one at each change.
public struct ChannelDocument: Equatable, Sendable {
    public static let schema = 1

    public let app: String
    public let channel: String
    public let baseID: String
    public let epoch: Int
    public let pollAfterS: Int
    public let offers: [Offer]
    public let recalls: [Recall]
    /// By head name; a missing name means ``PersonaliseDirective/allow``.
    public let personalise: [String: PersonaliseDirective]

    /// Reads a channel document; throws `malformed`.
    public init(data: [UInt8]) throws(HeadwayError) {
        let fields = try decode(data, document: "channel document")
        try fields.schema(Self.schema)
        app = try parseName(try fields.text("app"), what: "app")
        channel = try parseName(try fields.text("channel"), what: "channel")
        baseID = try parseName(try fields.text("base_id"), what: "base id")
        epoch = try fields.integer("epoch", low: 1)
        pollAfterS = try fields.integer("poll_after_s", low: 1, high: 30 * 86_400)
        offers = try fields.objects("offers", most: 1000) { (offer) throws(HeadwayError) in try Offer(offer) }
        guard Set(offers.map { "\($0.name)@\($0.release)" }).count == offers.count else {
            throw fields.wrong("offers", "a list that offers each release once")
        }
        recalls = try fields.objects("recalls", most: 1000) { (recall) throws(HeadwayError) in
            Recall(digest: try recall.digest("digest"), reason: try recall.text("reason", maxLength: 500))
        }
        let directives = try fields.nested("personalise")
        var personalise: [String: PersonaliseDirective] = [:]
        for name in directives.names {
            personalise[try parseName(name, what: "head name")] = try directives.choice(name)
        }
        self.personalise = personalise
    }

    /// What the channel says about personalising head `name`.
    public func directive(for name: String) -> PersonaliseDirective { personalise[name] ?? .allow }

    /// Digests of all recalled heads.
    public var recalled: Set<Digest> { Set(recalls.map(\.digest)) }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "schema": .integer(Self.schema),
            "app": .text(app),
            "channel": .text(channel),
            "base_id": .text(baseID),
            "epoch": .integer(epoch),
            "poll_after_s": .integer(pollAfterS),
            "offers": .list(offers.map(\.json)),
            "recalls": .list(recalls.map { .object(["digest": .text($0.digest.text), "reason": .text($0.reason)]) }),
            "personalise": .object(personalise.mapValues { .text($0.rawValue) }),
        ])
    }

    /// Canonical bytes: the content of the channel's file.
    public func bytes() throws(HeadwayError) -> [UInt8] { try canonicalJSON(json, document: "channel document") }
}
