import HeadwayContract

/// The persisted form of a ``DeviceState``: canonical JSON under a digest line.
///
/// The digest tells a damaged record from a readable one. `schema` grows when an old reader would misunderstand; a
/// record of a newer schema is unreadable here, and the store then starts clean. An unknown phase is no such case: the
/// reader keeps what was confirmed and rolls the rest back (rule 10).
public enum Record {
    public static let schema = 1

    /// The record of `state`; ``read(_:)`` gives back `state.durable`.
    public static func bytes(of state: DeviceState) throws(HeadwayError) -> [UInt8] {
        let body = try canonicalJSON(json(of: state.durable), document: "device record")
        return Array(digestOf(body).text.utf8) + [0x0a] + body + [0x0a]
    }

    /// Reads a record; throws `record_unreadable` where it is damaged or written by a newer version.
    public static func read(_ data: [UInt8]) throws(HeadwayError) -> DeviceState {
        let parts = data.split(separator: 0x0a, maxSplits: 1, omittingEmptySubsequences: false)
        var body = parts.count == 2 ? Array(parts[1]) : []
        if body.last == 0x0a { body.removeLast() }
        guard Array(parts[0]) == Array(digestOf(body).text.utf8) else { throw unreadable("its digest does not fit") }
        do {
            return try state(from: try decode(body, document: "device record"))
        } catch {
            throw unreadable(error.message)
        }
    }

    private static func unreadable(_ why: String) -> HeadwayError {
        HeadwayError(
            .deviceStore,
            code: "record_unreadable",
            message: "The device record cannot be read: \(why).",
            hint: "Nothing to do: the record is put aside and the device starts clean with the embedded head."
        )
    }

    /// Reads the JSON object; throws `malformed`.
    public static func state(from record: Fields) throws(HeadwayError) -> DeviceState {
        try record.schema(schema)
        var state = DeviceState(
            identity: try Identity(try record.nested("identity")),
            host: try Host(try record.nested("host")),
            embedded: try HeldRelease(try record.nested("embedded"))
        )
        try state.readSlots(record)
        try state.readCounters(record)
        if let activity = Phase(rawValue: try record.integer("activity")), activity.isActivity {
            state.activity = activity
        } else {
            (state.trial, state.staged, state.target, state.candidate) = (nil, nil, nil, nil)
            (state.pending, state.live) = (nil, 0)
            state.prunePersonal()
        }
        return state
    }

    /// The JSON object: what vectors and traces show.
    public static func json(of state: DeviceState) -> JSONValue {
        .object([
            "schema": .integer(schema),
            "activity": .integer(state.activity.rawValue),
            "identity": state.identity.json,
            "host": state.host.json,
            "embedded": state.embedded.json,
            "stable": .orNull(state.stable?.json),
            "previous": .orNull(state.previous?.json),
            "trial": .orNull(state.trial?.json),
            "staged": .orNull(state.staged?.json),
            "target": .orNull(state.target?.json),
            "personal": .orNull(state.personal?.json),
            "personal_before": .orNull(state.personalBefore?.json),
            "candidate": .orNull(state.candidate?.json),
            "attempts": .orNull(state.attempts?.json),
            "checks": .orNull(state.checks?.json),
            "pending": .orNull(state.pending?.json),
            "leaving": .orNull(state.leaving?.json),
            "rebase_due": .orNull(state.rebaseDue.map { .text($0.rawValue) }),
            "directive": .text(state.directive.rawValue),
            "floors": .list(state.floors.map(\.json)),
            "quarantine": .list(state.quarantine.map(\.json)),
            "recalled": .list(state.recalled.map(\.json)),
            "outcomes": .list(state.outcomes.map(\.json)),
            "live": .integer(state.live),
            "generations": .integer(state.generations),
            "training_left": .integer(state.trainingLeft),
            "training_after_s": .integer(state.trainingAfterS),
            "clock_floor_s": .integer(state.clockFloorS),
            "sequence": .integer(state.sequence),
            "saves": .integer(state.saves),
        ])
    }
}

extension DeviceState {
    fileprivate mutating func readSlots(_ record: Fields) throws(HeadwayError) {
        func release(_ name: String) throws(HeadwayError) -> HeldRelease? {
            record.has(name) ? try HeldRelease(try record.nested(name)) : nil
        }
        func generation(_ name: String) throws(HeadwayError) -> Generation? {
            record.has(name) ? try Generation(try record.nested(name)) : nil
        }
        stable = try release("stable")
        previous = try release("previous")
        trial = try release("trial")
        staged = try release("staged")
        target = try release("target")
        personal = try generation("personal")
        personalBefore = try generation("personal_before")
        candidate = try generation("candidate")
        attempts = record.has("attempts") ? try Attempts(try record.nested("attempts")) : nil
        checks = record.has("checks") ? try Attempts(try record.nested("checks")) : nil
        pending = try record.optional("pending", record.digest)
        leaving = try record.optional("leaving", record.digest)
        rebaseDue = try record.optional("rebase_due") { (name) throws(HeadwayError) in try record.choice(name) }
        directive = try record.choice("directive")
    }

    fileprivate mutating func readCounters(_ record: Fields) throws(HeadwayError) {
        floors = try record.objects("floors") { (floor) throws(HeadwayError) in try Floor(floor) }
        quarantine = try record.objects("quarantine") { (entry) throws(HeadwayError) in try Quarantine(entry) }
        for item in try record.items("recalled") { recalled.append(try Digest(parsing: item)) }
        for item in try record.items("outcomes") { outcomes.append(try Outcome(item)) }
        live = try record.integer("live")
        generations = try record.integer("generations")
        trainingLeft = try record.integer("training_left")
        trainingAfterS = try record.integer("training_after_s")
        clockFloorS = try record.integer("clock_floor_s")
        sequence = try record.integer("sequence")
        saves = try record.integer("saves")
    }
}
