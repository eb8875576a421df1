import HeadwayContract

/// What may be trusted, decided from bytes and a time alone (TUF 1.0, section 5). It never fetches or stores.
///
/// Metadata that is outdated but well signed is taken as a floor before the error is thrown, so that nothing older can
/// follow: an expired timestamp still forbids a rollback.
struct TrustedSet: Sendable {
    /// Seconds since 1970; never earlier than any time that was trusted before.
    let nowS: Int
    private(set) var root: Root
    private(set) var timestamp: Versions?
    private(set) var snapshot: Versions?
    private(set) var targets: [String: TargetsRole] = [:]

    /// Starts from `bootstrap`, the root bytes that the app was built with.
    init(bootstrap: [UInt8], nowS: Int) throws(HeadwayError) {
        root = try Root(bootstrap)
        self.nowS = nowS
        try root.check(root.envelope, role: "root")
    }

    /// Takes the next root: signed by the last root's keys and by its own.
    mutating func updateRoot(_ data: [UInt8]) throws(HeadwayError) {
        let new = try Root(data)
        try root.check(new.envelope, role: "root")
        try new.check(new.envelope, role: "root")
        guard new.envelope.version == root.envelope.version + 1 else {
            throw untrusted("rollback", "Root \(new.envelope.version) follows \(root.envelope.version).")
        }
        root = new
    }

    /// Takes a timestamp; whether it is a new one. Throws `rollback`, `bad_signature` or `expired_metadata`.
    mutating func updateTimestamp(_ data: [UInt8]) throws(HeadwayError) -> Bool {
        try checkExpiry(root.envelope, "root")
        let new = try Versions(data, type: "timestamp")
        try root.check(new.envelope, role: "timestamp")
        guard let named = new.meta["snapshot.json"] else {
            throw untrusted("malformed_metadata", "The timestamp names no snapshot.")
        }
        if let old = timestamp {
            if new.envelope.version == old.envelope.version {
                try checkExpiry(old.envelope, "timestamp")
                return false
            }
            let oldNamed = old.meta["snapshot.json"]?.version ?? 0
            guard new.envelope.version > old.envelope.version, named.version >= oldNamed else {
                throw untrusted("rollback", "The timestamp or the snapshot it names is older than one seen before.")
            }
        }
        timestamp = new
        try checkExpiry(new.envelope, "timestamp")
        return true
    }

    /// Takes a snapshot. `isStored` says that its hash was checked when it was stored: it may be an older one.
    mutating func updateSnapshot(_ data: [UInt8], isStored: Bool) throws(HeadwayError) {
        let named = try snapshotFacts()
        if !isStored { try named.check(data, "The snapshot") }
        let new = try Versions(data, type: "snapshot")
        try root.check(new.envelope, role: "snapshot")
        for (name, old) in snapshot?.meta ?? [:] {
            guard let version = new.meta[name]?.version, version >= old.version else {
                throw untrusted("rollback", "The snapshot lists an older \(name) than one seen before, or none.")
            }
        }
        (snapshot, targets) = (new, [:])
        try checkSnapshot()
    }

    /// The facts of the snapshot that the current timestamp names.
    func snapshotFacts() throws(HeadwayError) -> FileFacts {
        guard let timestamp, let named = timestamp.meta["snapshot.json"] else {
            throw untrusted("bad_metadata", "There is no timestamp yet.")
        }
        try checkExpiry(timestamp.envelope, "timestamp")
        return named
    }

    private func checkSnapshot() throws(HeadwayError) {
        guard let snapshot else { throw untrusted("bad_metadata", "There is no snapshot yet.") }
        try checkExpiry(snapshot.envelope, "snapshot")
        guard snapshot.envelope.version == (try snapshotFacts()).version else {
            throw untrusted("mix_and_match", "The snapshot is not the one that the timestamp names.")
        }
    }

    /// Whether the current snapshot lists a targets role.
    func lists(_ role: String) -> Bool { snapshot?.meta["\(role).json"] != nil }

    /// The facts of a targets role in the current snapshot; throws `bad_metadata` where it lists none.
    func facts(of role: String) throws(HeadwayError) -> FileFacts {
        try checkSnapshot()
        guard let facts = snapshot?.meta["\(role).json"] else {
            throw untrusted("bad_metadata", "The snapshot does not list \(role).")
        }
        return facts
    }

    /// Takes a targets role under its delegator: `root` for the top-level one.
    mutating func updateTargets(_ data: [UInt8], role: String, delegator: String) throws(HeadwayError) {
        let named = try facts(of: role)
        try named.check(data, role)
        let new = try TargetsRole(data)
        if delegator == "root" {
            try root.check(new.envelope, role: role)
        } else {
            guard let keys = targets[delegator]?.delegations.keys(of: role) else {
                throw untrusted("bad_metadata", "\(delegator) does not delegate to \(role).")
            }
            try keys.check(new.envelope, role: role)
        }
        guard new.envelope.version == named.version else {
            throw untrusted("mix_and_match", "\(role) is version \(new.envelope.version), not the listed \(named.version).")
        }
        try checkExpiry(new.envelope, role)
        targets[role] = new
    }

    private func checkExpiry(_ envelope: Envelope, _ role: String) throws(HeadwayError) {
        guard nowS < envelope.expiresS else { throw untrusted("expired_metadata", "\(role) has expired.") }
    }
}
