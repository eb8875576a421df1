/// Who is in a rollout: a device's sticky bucket, computed on the device, from nothing that leaves it.

/// Number of buckets.
public let buckets = 10_000

/// A staged offer. `pins` and `excludes` name groups that the app puts a device in locally; an exclude wins over a pin.
public struct Rollout: Equatable, Sendable {
    /// New for each rollout, so that the same people are not always first.
    public let salt: String
    /// How many of 10,000 buckets are in.
    public let permyriad: Int
    public let pins: [String]
    public let excludes: [String]

    public init(salt: String, permyriad: Int, pins: [String] = [], excludes: [String] = []) {
        (self.salt, self.permyriad, self.pins, self.excludes) = (salt, permyriad, pins, excludes)
    }

    /// Reads a rollout; throws `malformed`.
    public init(_ fields: Fields) throws(HeadwayError) {
        salt = try fields.text("salt", maxLength: 64)
        permyriad = try fields.integer("permyriad", high: buckets)
        pins = try fields.texts("pins", most: 100)
        excludes = try fields.texts("excludes", most: 100)
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "salt": .text(salt),
            "permyriad": .integer(permyriad),
            "pins": .list(pins.map(JSONValue.text)),
            "excludes": .list(excludes.map(JSONValue.text)),
        ])
    }

    /// Whether one of the device's groups is excluded.
    public func excludes(anyOf groups: Set<String>) -> Bool { excludes.contains(where: groups.contains) }
}

/// The bucket, 0 … 9,999: first 8 bytes, big-endian, of SHA-256(salt ‖ 0x00 ‖ install id), modulo 10,000.
public func bucket(salt: String, installID: String) -> Int {
    let hash = sha256(Array(salt.utf8) + [0] + Array(installID.utf8))
    return Int(hash.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } % UInt64(buckets))
}

/// Whether a device gets the offer. Raising `permyriad` only ever adds devices.
public func inRollout(_ rollout: Rollout, installID: String, groups: Set<String> = []) -> Bool {
    if rollout.excludes(anyOf: groups) { return false }
    if rollout.pins.contains(where: groups.contains) { return true }
    return bucket(salt: rollout.salt, installID: installID) < rollout.permyriad
}
