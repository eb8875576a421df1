import HeadwayContract

/// Everything that decisions about one head depend on.
public struct DeviceState: Equatable, Sendable {
    public var identity: Identity
    public var host: Host
    /// In the app bundle, always there.
    public var embedded: HeldRelease
    /// The last confirmed release.
    public var stable: HeldRelease?
    /// The stable before it, kept for a late roll back.
    public var previous: HeldRelease?
    /// Being tried.
    public var trial: HeldRelease?
    /// Verified, waiting.
    public var staged: HeldRelease?
    /// Being fetched or verified.
    public var target: HeldRelease?
    /// Generation k.
    public var personal: Generation?
    /// Generation k−1.
    public var personalBefore: Generation?
    /// Trained, not accepted.
    public var candidate: Generation?
    public var activity = Phase.idle
    /// The head whose first load, or whose judging, has begun and not ended: found at a launch, it is a crash.
    public var pending: Digest?
    public var attempts: Attempts?
    /// Tries that the head being verified has left.
    public var checks: Attempts?
    /// Successful predictions in the open trial.
    public var live = 0
    /// A head just given up, whose model is to be unloaded and whose files are to be removed.
    public var leaving: Digest?
    public var generations = 0
    public var rebaseDue: RebasePolicy?
    public var trainingLeft = 3
    public var trainingAfterS = 0
    public var floors: [Floor] = []
    public var quarantine: [Quarantine] = []
    public var recalled: [Digest] = []
    public var directive = PersonaliseDirective.allow
    public var clockFloorS = 0
    public var outcomes: [Outcome] = []
    public var sequence = 0
    /// Saves since the machine was last at rest: the loop breaker's counter.
    public var saves = 0
    /// The head this process has loaded. Not persisted.
    public var loaded: Digest?

    /// The state of a device that has nothing but its app.
    public init(identity: Identity, host: Host, embedded: HeldRelease) {
        (self.identity, self.host, self.embedded) = (identity, host, embedded)
    }

    /// The release that stands when nothing is tried and nothing is personal.
    public var current: HeldRelease { stable ?? embedded }

    /// The personal generation that may run: only on the release it was accepted on.
    public var generation: Generation? { personal?.on == current.head ? personal : nil }

    /// The one head to run: the trial, else the generation, else the release, at the least the embedded one.
    public var running: RunnableHead {
        if let trial { return .release(trial) }
        if let generation { return .generation(generation) }
        return .release(current)
    }

    /// One word for where the machine stands.
    public var phase: Phase {
        if leaving != nil { return .rollingBack }
        if activity != .idle { return activity }
        if trial != nil { return .trial }
        if staged != nil { return .staged }
        return stable == nil ? .idle : .confirmed
    }

    /// Whether nothing is under way that a restart would have to clear up.
    public var atRest: Bool { activity == .idle && pending == nil && leaving == nil }

    /// The state as a restart finds it: a check under way and the loaded head leave no trace.
    public var durable: DeviceState {
        var durable = self
        if activity == .checking { durable.activity = .idle }
        durable.loaded = nil
        return durable
    }

    /// The highest confirmed release on the base that is present.
    public var floor: Floor? { floors.first { $0.base == host.base } }

    /// Whether `head` failed here, on this base and system build, not long ago.
    public func isQuarantined(_ head: Digest, nowS: Int) -> Bool {
        quarantine.contains {
            $0.head == head && $0.base == host.base && $0.osBuild == host.osBuild && $0.untilS > nowS
        }
    }

    /// Every release that a slot names, but the embedded one.
    public var releases: [HeldRelease] { [trial, stable, previous, staged, target].compactMap { $0 } }

    /// Every generation that a slot names.
    public var personalHeads: [Generation] { [personal, personalBefore, candidate].compactMap { $0 } }

    /// Names of the folders and files that slots need: manifests of releases, heads of generations.
    public var files: Set<Digest> { Set(releases.map(\.manifest)).union(personalHeads.map(\.head)) }
}
