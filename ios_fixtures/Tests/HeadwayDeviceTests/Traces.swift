import HeadwayContract
import HeadwayDevice

/// The JSON of events and effects, as traces of the machine carry it: the Python names in snake case.

extension Event {
    /// Reads `{"event": name, …}`.
    init(_ value: JSONValue) throws {
        let fields = try Fields(value, document: "event")
        let name = try fields.text("event")
        let reads: [(Fields, String) throws -> Event?] = [Event.receiving, Event.running, Event.training]
        guard let event = try reads.lazy.compactMap({ try? $0(fields, name) }).first else {
            throw malformed("event", "$.event", "a known event with its fields, not \(name)")
        }
        self = event
    }

    private static func receiving(_ fields: Fields, _ name: String) throws -> Event? {
        func head() throws -> Digest { try fields.digest("head") }
        func now() throws -> Int { try fields.integer("now_s", low: .min) }
        switch name {
        case "launched":
            let host = try fields.nested("host")
            return .launched(
                host: Host(base: try host.digest("base"), osBuild: try host.text("os_build")),
                embedded: try HeldRelease(try fields.nested("embedded")), nowS: try now()
            )
        case "exiting": return .exiting
        case "check_started": return .checkStarted
        case "check_ended": return .checkEnded
        case "channel_seen":
            let recalled = try fields.items("recalled").map { try Digest(parsing: $0) }
            return .channelSeen(recalled: Set(recalled), directive: try fields.choice("directive"), nowS: try now())
        case "withdrawn": return .withdrawn(head: try head(), reason: try fields.text("reason"))
        case "offered": return .offered(try HeldRelease(try fields.nested("release")), nowS: try now())
        case "downloaded": return .downloaded(head: try head())
        case "download_failed":
            let reported = try fields.boolean("reported")
            return .downloadFailed(head: try head(), reason: try fields.text("reason"), reported: reported)
        case "verified": return .verified(head: try head())
        case "verify_failed":
            return .verifyFailed(head: try head(), reason: try fields.text("reason"), nowS: try now())
        default: return nil
        }
    }

    private static func running(_ fields: Fields, _ name: String) throws -> Event? {
        func head() throws -> Digest { try fields.digest("head") }
        func reason() throws -> String { try fields.text("reason") }
        func now() throws -> Int { try fields.integer("now_s", low: .min) }
        switch name {
        case "predict_asked": return .predictAsked(nowS: try now())
        case "predicted": return .predicted(head: try head(), nowS: try now())
        case "predict_failed": return .predictFailed(head: try head(), reason: try reason(), nowS: try now())
        case "slot_broken": return .slotBroken(head: try head(), nowS: try now())
        case "health_passed": return .healthPassed(head: try head(), nowS: try now())
        case "health_failed": return .healthFailed(head: try head(), reason: try reason(), nowS: try now())
        case "health_later": return .healthLater(head: try head())
        case "confirm_asked": return .confirmAsked
        case "roll_back_asked": return .rollBackAsked(reason: try reason(), nowS: try now())
        case "settled": return .settled
        case "outcomes_sent": return .outcomesSent(events: Set(try fields.texts("events")))
        default: return nil
        }
    }

    private static func training(_ fields: Fields, _ name: String) throws -> Event? {
        func head() throws -> Digest { try fields.digest("head") }
        func gain() throws -> Gain { try fields.choice("gain") }
        func now() throws -> Int { try fields.integer("now_s", low: .min) }
        switch name {
        case "training_started": return .trainingStarted(nowS: try now())
        case "trained": return .trained(candidate: try Generation(try fields.nested("candidate")))
        case "training_failed": return .trainingFailed(reason: try fields.text("reason"))
        case "generation_accepted": return .generationAccepted(head: try head(), gain: try gain())
        case "generation_rejected": return .generationRejected(head: try head(), gain: try gain())
        case "generation_dropped": return .generationDropped(reason: try fields.text("reason"))
        case "personal_forgotten": return .personalForgotten
        case "rebase_started": return .rebaseStarted(nowS: try now())
        case "rebased":
            let generation = fields.has("generation") ? try Generation(try fields.nested("generation")) : nil
            let policy = try fields.text("policy")
            return .rebased(on: try fields.digest("on"), generation: generation, policy: policy, gain: try gain())
        default: return nil
        }
    }
}

extension RunnableHead {
    fileprivate var json: JSONValue {
        switch self {
        case .release(let release): release.json
        case .generation(let generation): generation.json
        }
    }
}

extension Effect {
    /// `{"effect": name, …}`.
    var json: JSONValue {
        let (name, members) = parts
        return .object(members.merging(["effect": .text(name)]) { first, _ in first })
    }

    private var parts: (String, [String: JSONValue]) {
        switch self {
        case .save: ("save", [:])
        case .refresh: ("refresh", [:])
        case .download(let release): ("download", ["release": release.json])
        case .verify(let release): ("verify", ["release": release.json])
        case .load(let head): ("load", ["head": head.json])
        case .judge(let release, let vouched): ("judge", ["release": release.json, "vouched": .bool(vouched)])
        case .leave(let head): ("leave", ["head": .text(head.text)])
        case .collect: ("collect", [:])
        case .train(let start, let number): ("train", ["start": start.json, "number": .integer(number)])
        case .judgeCandidate(let candidate): ("judge_candidate", ["candidate": candidate.json])
        case .rebase(let personal, let release, let policy, let number):
            (
                "rebase",
                [
                    "personal": personal.json, "release": release.json, "policy": .text(policy.rawValue),
                    "number": .integer(number),
                ]
            )
        case .cancelTraining: ("cancel_training", [:])
        }
    }
}
