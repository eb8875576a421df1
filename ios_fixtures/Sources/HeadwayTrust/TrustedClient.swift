import HeadwayContract

/// The trusted client: what the publisher signed, as verified values, and nothing else.
///
/// Rules that always hold: trust starts from the root bytes embedded in the app; nothing older than what was seen is
/// accepted; every file read is bounded; what is stored are the exact bytes received. It never decides what to install:
/// see `explain`. The Python twin is `headway.trust.client`.
public struct TrustedClient: Sendable {
    private let metadataURL: String
    private let fetcher: any Fetcher
    private let storage: any MetadataStorage
    private let limits: ClientLimits
    private var trusted: TrustedSet
    private var rootBytes: [UInt8]

    /// `bootstrap` is the embedded root, `nowS` the time in seconds since 1970, never earlier than one trusted before.
    public init(
        metadataURL: String, bootstrap: [UInt8], nowS: Int, fetcher: any Fetcher, storage: any MetadataStorage,
        limits: ClientLimits = ClientLimits()
    ) throws(HeadwayError) {
        self.metadataURL = metadataURL.hasSuffix("/") ? metadataURL : metadataURL + "/"
        (self.fetcher, self.storage, self.limits) = (fetcher, storage, limits)
        trusted = try TrustedSet(bootstrap: bootstrap, nowS: nowS)
        rootBytes = bootstrap
    }

    /// Brings root, timestamp, snapshot and targets up to date; delegated roles follow when they are asked for.
    ///
    /// Throws `untrusted` or `transfer` errors, or `metadata_store`; what was trusted before stays.
    public mutating func refresh() async throws(HeadwayError) {
        loadStoredRoots()
        try await loadRemoteRoots()
        try await loadTimestamp()
        try await loadSnapshot()
        try await loadTargets("targets", delegator: "root")
    }

    /// The signed facts of the file at `path`, or nil if nobody signed it: preorder, depth first, terminating.
    public mutating func target(_ path: String) async throws(HeadwayError) -> VerifiedTarget? {
        var pending = [(role: "targets", delegator: "root")]
        var visited: Set<String> = []
        while let (role, delegator) = pending.popLast(), visited.count <= limits.delegations {
            guard visited.insert(role).inserted else { continue }
            try await loadTargets(role, delegator: delegator)
            guard let targets = trusted.targets[role] else { continue }
            if let entry = try targets.entry(path) {
                return VerifiedTarget(
                    path: path, role: role, length: entry.facts.length ?? 0, sha256: entry.facts.hashes["sha256"] ?? "",
                    custom: entry.custom
                )
            }
            var children: [(role: String, delegator: String)] = []
            for (child, isTerminating) in targets.delegations.roles(for: path) {
                children.append((child, role))
                if isTerminating {
                    pending = []
                    break
                }
            }
            pending += children.reversed()
        }
        return nil
    }

    /// All signed releases of all heads on a base, revoked ones included; empty where none is delegated.
    ///
    /// It downloads all that is signed about the base: for tools. A device asks for the ``releases(baseID:_:)`` it needs.
    public mutating func heads(baseID: String) async throws(HeadwayError) -> [HeadTarget] {
        let role = "heads-\(baseID)"
        guard try await isDelegated(role) else { return [] }
        try await loadTargets(role, delegator: "targets")
        var heads = try listed(in: role, baseID) { _ in true }
        guard let bins = trusted.targets[role]?.delegations.bins else { return heads.map(\.head) }
        guard bins.count <= limits.bins else { throw untrusted("too_large", "\(role) has \(bins.count) bins.") }
        for bin in bins.names {
            try await loadTargets(bin, delegator: role)
            heads += try listed(in: bin, baseID) { bins.role(for: $0) == bin }
        }
        return heads.sorted { precedes($0.path, $1.path) }.map(\.head)
    }

    /// Just these releases on a base, revoked ones included; what nobody signed is left out.
    ///
    /// It downloads one role or, where that is split, one bin for each release.
    public mutating func releases(
        baseID: String, _ wanted: [(name: String, release: Int)]
    ) async throws(HeadwayError) -> [HeadTarget] {
        guard try await isDelegated("heads-\(baseID)") else { return [] }
        var heads: [HeadTarget] = []
        for (name, release) in wanted {
            let path = headManifestPath(baseID: baseID, name: name, release: release)
            if let target = try await target(path) { heads.append(try head(path, baseID, target.custom)) }
        }
        return heads
    }

    /// The bytes of a verified target from `targetsURL`, checked against what was signed.
    public func download(_ target: VerifiedTarget, targetsURL: String, maxBytes: Int) async throws(HeadwayError) -> [UInt8] {
        let base = targetsURL.hasSuffix("/") ? targetsURL : targetsURL + "/"
        let url = base + quoted(target.servedPath(isConsistent: trusted.root.consistentSnapshot), keeping: "/")
        let answer = try await fetcher.fetch(url, maxBytes: min(maxBytes, target.length))
        let data = try accepted(answer, target.path)
        try target.check(data)
        return data
    }
}

extension TrustedClient {
    private mutating func isDelegated(_ role: String) async throws(HeadwayError) -> Bool {
        try await loadTargets("targets", delegator: "root")
        return trusted.targets["targets"]?.delegations.keys(of: role) != nil && trusted.lists(role)
    }

    /// What `role` lists, by path. A role that lists what is not its own is not trusted at all.
    private func listed(
        in role: String, _ baseID: String, _ covers: (String) -> Bool
    ) throws(HeadwayError) -> [(path: String, head: HeadTarget)] {
        var heads: [(path: String, head: HeadTarget)] = []
        for path in (trusted.targets[role]?.targets.keys ?? [:].keys).sorted(by: precedes) {
            guard covers(path) else {
                throw untrusted("out_of_scope", "\(role) signed \(path), which is not delegated to it.")
            }
            heads.append((path, try head(path, baseID, try trusted.targets[role]?.entry(path)?.custom)))
        }
        return heads
    }

    private func head(_ path: String, _ baseID: String, _ custom: JSONValue?) throws(HeadwayError) -> HeadTarget {
        let head = try judged { () throws(HeadwayError) in try HeadTarget(custom ?? .null) }
        guard head.baseID == baseID, headManifestPath(baseID: baseID, name: head.name, release: head.release) == path
        else { throw untrusted("bad_facts", "\(path) carries the facts of another release.") }
        return head
    }

    private mutating func loadStoredRoots() {
        for _ in 0..<limits.rootRotations {
            let name = "root_history/\(trusted.root.envelope.version + 1).root.json"
            guard let data = storage.read(name), (try? trusted.updateRoot(data)) != nil else { return }
            rootBytes = data
        }
    }

    private mutating func loadRemoteRoots() async throws(HeadwayError) {
        for _ in 0..<limits.rootRotations {
            let version = trusted.root.envelope.version + 1
            let answer = try await fetcher.fetch("\(metadataURL)\(version).root.json", maxBytes: limits.rootBytes)
            if answer.status == 403 || answer.status == 404 { break }
            let data = try accepted(answer, "root")
            try trusted.updateRoot(data)
            rootBytes = data
            try storage.writeAtomic("root_history/\(version).root.json", data)
            try storage.writeAtomic("root.json", data)
        }
        if storage.read("root.json") != rootBytes { try storage.writeAtomic("root.json", rootBytes) }
    }

    private mutating func loadTimestamp() async throws(HeadwayError) {
        if let stored = storage.read("timestamp.json") { _ = try? trusted.updateTimestamp(stored) }
        let data = try await body("timestamp", version: nil, maxBytes: limits.timestampBytes)
        if try trusted.updateTimestamp(data) { try storage.writeAtomic("timestamp.json", data) }
    }

    private mutating func loadSnapshot() async throws(HeadwayError) {
        if let stored = storage.read("snapshot.json"),
            (try? trusted.updateSnapshot(stored, isStored: true)) != nil
        {
            return
        }
        let facts = try trusted.snapshotFacts()
        let cap = min(facts.length ?? limits.snapshotBytes, limits.snapshotBytes)
        let data = try await body("snapshot", version: facts.version, maxBytes: cap)
        try trusted.updateSnapshot(data, isStored: false)
        try storage.writeAtomic("snapshot.json", data)
    }

    private mutating func loadTargets(_ role: String, delegator: String) async throws(HeadwayError) {
        guard trusted.targets[role] == nil else { return }
        let name = quoted(role) + ".json"
        if let stored = storage.read(name),
            (try? trusted.updateTargets(stored, role: role, delegator: delegator)) != nil
        {
            return
        }
        let facts = try trusted.facts(of: role)
        let cap = min(facts.length ?? limits.targetsBytes, limits.targetsBytes)
        let data = try await body(role, version: facts.version, maxBytes: cap)
        try trusted.updateTargets(data, role: role, delegator: delegator)
        try storage.writeAtomic(name, data)
    }

    private func body(_ role: String, version: Int?, maxBytes: Int) async throws(HeadwayError) -> [UInt8] {
        let isVersioned = version != nil && trusted.root.consistentSnapshot
        let prefix = isVersioned ? "\(version ?? 0)." : ""
        return try accepted(try await fetcher.fetch("\(metadataURL)\(prefix)\(quoted(role)).json", maxBytes: maxBytes), role)
    }
}

/// The body of a 200; throws `not_served` for any other status.
private func accepted(_ answer: Fetched, _ what: String) throws(HeadwayError) -> [UInt8] {
    guard answer.status == 200 else {
        throw HeadwayError(
            .transfer(retryAfterS: nil), code: "not_served", message: "The registry answered \(answer.status) for \(what).",
            hint: "Try again later; if it stays, check the URL, or tell the operator of the registry."
        )
    }
    return answer.body
}
