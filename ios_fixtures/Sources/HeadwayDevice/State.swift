import HeadwayContract

/// What a device knows about one head, as values. The Python twin is `headway.device.state`.
///
/// One ``DeviceState`` is everything that decisions depend on; it is persisted whole (see `Record.swift`) except for
/// `loaded`, which dies with the process. It holds facts about files, never files.

/// Where the machine stands. Numbers are part of the persisted record; add, never renumber.
public enum Phase: Int, Sendable, CaseIterable {
    case idle = 0
    case checking = 1
    case downloading = 2
    case verifying = 3
    case staged = 4
    case trial = 5
    case confirmed = 6
    case rollingBack = 7
    case personalising = 8
    case judging = 9
    case rebasing = 10

    /// Whether ``DeviceState/activity`` may name it; the other phases follow from the slots.
    var isActivity: Bool {
        switch self {
        case .idle, .checking, .downloading, .verifying, .personalising, .judging, .rebasing: true
        case .staged, .trial, .confirmed, .rollingBack: false
        }
    }

    var isTraining: Bool { self == .personalising || self == .judging || self == .rebasing }
}

/// The numbers in the rules. Times are seconds.
public struct Rules: Equatable, Sendable {
    public var attempts = 3
    public var livePredictions = 3
    public var quarantineS = 7 * 86_400
    public var maxSaves = 28
    public var trainingRestS = 7 * 86_400
    public var maxOutcomes = 500
    public var clockStepS = 3600
    /// A trial waits for the app's own word instead of being judged by itself after `livePredictions` good ones.
    public var explicitConfirm = false

    public init() {}
}

/// A head release in a slot.
public struct HeldRelease: Equatable, Sendable {
    public var release: Int
    /// Digest of `head.mlmodel`.
    public var head: Digest
    /// The base it was verified against.
    public var base: Digest
    /// Names its folder.
    public var manifest: Digest
    public var labels: Digest
    /// The policy it was signed with.
    public var rebase: RebasePolicy

    public init(
        release: Int, head: Digest, base: Digest, manifest: Digest, labels: Digest, rebase: RebasePolicy = .replay
    ) {
        (self.release, self.head, self.base) = (release, head, base)
        (self.manifest, self.labels, self.rebase) = (manifest, labels, rebase)
    }
}

/// One result of on-device training.
public struct Generation: Equatable, Sendable {
    public var number: Int
    public var head: Digest
    public var base: Digest
    /// The release head on which it was accepted: it may run only while that release is the current one.
    public var on: Digest
    /// The head that training started from.
    public var derivedFrom: Digest
    /// How it came to be: `personalised`, `replay`, `merge`, `keep`.
    public var policy: String
    public var samples: Int
    public var steps: Int
    /// Norm of the weight change in 1e-6.
    public var deltaMicro: Int

    public init(
        number: Int, head: Digest, base: Digest, on: Digest, derivedFrom: Digest, policy: String, samples: Int,
        steps: Int, deltaMicro: Int
    ) {
        (self.number, self.head, self.base, self.on, self.derivedFrom) = (number, head, base, on, derivedFrom)
        (self.policy, self.samples, self.steps, self.deltaMicro) = (policy, samples, steps, deltaMicro)
    }
}

/// A head that can run: a release or a personal generation.
public enum RunnableHead: Equatable, Sendable {
    case release(HeldRelease)
    case generation(Generation)

    /// Digest of the model's bytes.
    public var head: Digest {
        switch self {
        case .release(let release): release.head
        case .generation(let generation): generation.head
        }
    }
}

/// Tries that `head` has left; lowered and saved before each try.
public struct Attempts: Equatable, Sendable {
    public var head: Digest
    public var left: Int
}

/// Keep away from `head` on this base and system build until `untilS` (seconds since 1970).
public struct Quarantine: Equatable, Sendable {
    public var head: Digest
    public var base: Digest
    public var osBuild: String
    public var untilS: Int
}

/// The highest release ever confirmed on `base`, and its head.
public struct Floor: Equatable, Sendable {
    public var base: Digest
    public var release: Int
    public var head: Digest
}

/// What is really present at this launch: the base by digest, the system build.
public struct Host: Equatable, Sendable {
    public var base: Digest
    public var osBuild: String

    public init(base: Digest, osBuild: String) { (self.base, self.osBuild) = (base, osBuild) }
}

/// What never changes for a device's head: names for outcomes, and the random local install id.
public struct Identity: Equatable, Sendable {
    public var app: String
    public var channel: String
    public var name: String
    public var installID: String

    public init(app: String, channel: String, name: String, installID: String) {
        (self.app, self.channel, self.name, self.installID) = (app, channel, name, installID)
    }
}
