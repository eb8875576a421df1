import HeadwayContract

/// The parts of TUF metadata that decisions need.

/// Which keys speak for a role, and how many of them must.
struct RoleKeys: Sendable {
    let keys: [String: PublicKey]
    let threshold: Int

    init(ids: [String], threshold: Int, from all: [String: PublicKey]) {
        keys = all.filter { ids.contains($0.key) }
        self.threshold = threshold
    }

    /// Throws `bad_signature` unless enough different keys signed. One key under two ids counts once.
    func check(_ envelope: Envelope, role: String) throws(HeadwayError) {
        let good = keys.filter { id, key in
            envelope.signatures[id].map { key.verifies($0, over: envelope.message) } ?? false
        }
        guard Set(good.values).count >= threshold else {
            throw untrusted("bad_signature", "\(role) is signed by \(good.count) of the \(threshold) keys it needs.")
        }
    }
}

/// Every key in `keys`; one that cannot be read is no key, as kinds unknown to us may stand there.
func publicKeys(_ fields: Fields) throws(HeadwayError) -> [String: PublicKey] {
    let all = try fields.nested("keys")
    var keys: [String: PublicKey] = [:]
    for id in all.names { keys[id] = try? PublicKey(try all.nested(id)) }
    return keys
}

/// The root role: the keys of the four top-level roles.
struct Root: Sendable {
    let envelope: Envelope
    let consistentSnapshot: Bool
    private let roles: [String: RoleKeys]

    init(_ data: [UInt8]) throws(HeadwayError) {
        envelope = try Envelope(data, type: "root")
        let fields = try envelope.fields("root")
        (consistentSnapshot, roles) = try judged { () throws(HeadwayError) in
            let keys = try publicKeys(fields)
            let table = try fields.nested("roles")
            var roles: [String: RoleKeys] = [:]
            for name in ["root", "timestamp", "snapshot", "targets"] {
                roles[name] = try roleKeys(try table.nested(name), keys)
            }
            return (try fields.boolean("consistent_snapshot"), roles)
        }
    }

    /// Throws `bad_signature` unless root's keys for `role` signed `envelope`.
    func check(_ envelope: Envelope, role: String) throws(HeadwayError) {
        guard let keys = roles[role] else { throw untrusted("bad_metadata", "Root knows no role \(role).") }
        try keys.check(envelope, role: role)
    }
}

func roleKeys(_ fields: Fields, _ keys: [String: PublicKey]) throws(HeadwayError) -> RoleKeys {
    let ids = try fields.texts("keyids")
    guard Set(ids).count == ids.count else { throw fields.wrong("keyids", "a list without duplicates") }
    return RoleKeys(ids: ids, threshold: try fields.integer("threshold", low: 1), from: keys)
}

/// What one role says of another's file.
struct FileFacts: Sendable {
    let version: Int
    let length: Int?
    let hashes: [String: String]

    init(_ fields: Fields, versioned: Bool) throws(HeadwayError) {
        version = versioned ? try fields.integer("version", low: 1) : 0
        length = try fields.optional("length") { (name) throws(HeadwayError) in try fields.integer(name, low: 1) }
        var hashes: [String: String] = [:]
        if fields.has("hashes") {
            let table = try fields.nested("hashes")
            for name in table.names { hashes[name] = try table.text(name) }
        }
        self.hashes = hashes
    }

    /// Throws `mix_and_match` unless `data` is what is described. Only SHA-256 counts as a hash.
    func check(_ data: [UInt8], _ what: String) throws(HeadwayError) {
        if let length, length != data.count {
            throw untrusted("mix_and_match", "\(what) has \(data.count) bytes, not the signed \(length).")
        }
        guard hashes.isEmpty || hashes["sha256"] == digestOf(data).hex else {
            throw untrusted("mix_and_match", "\(what) is not what its signed hash says.")
        }
    }
}

/// Timestamp (of one snapshot) or snapshot (of all targets roles): versions of other roles.
struct Versions: Sendable {
    let envelope: Envelope
    let meta: [String: FileFacts]

    init(_ data: [UInt8], type: String) throws(HeadwayError) {
        envelope = try Envelope(data, type: type)
        let fields = try envelope.fields(type)
        meta = try judged { () throws(HeadwayError) in
            let table = try fields.nested("meta")
            var meta: [String: FileFacts] = [:]
            for name in table.names { meta[name] = try FileFacts(try table.nested(name), versioned: true) }
            return meta
        }
    }
}
