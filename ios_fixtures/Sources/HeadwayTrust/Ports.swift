import HeadwayContract

/// What the trusted client needs from the outside world. Every port has a real twin in this module.

/// What a server answered.
public struct Fetched: Sendable {
    public let status: Int
    public let body: [UInt8]

    public init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }
}

/// Gets bytes from a URL, never more than it is told.
public protocol Fetcher: Sendable {
    /// Throws `transfer` errors, and `too_large` (untrusted) past `maxBytes`.
    func fetch(_ url: String, maxBytes: Int) async throws(HeadwayError) -> Fetched
}

/// Keeps the exact bytes of trusted metadata, crash-safe.
public protocol MetadataStorage: Sendable {
    /// The bytes of `name`, or nil where there is no such file.
    func read(_ name: String) -> [UInt8]?
    /// Writes `name` durably: after a crash it holds the old bytes or the new ones. Throws `metadata_store`.
    func writeAtomic(_ name: String, _ data: [UInt8]) throws(HeadwayError)
}

/// What the client reads at most, in bytes; a length in signed metadata can only lower them.
public struct ClientLimits: Sendable {
    public var rootBytes = 512 * 1024
    public var timestampBytes = 16 * 1024
    public var snapshotBytes = 2_000_000
    public var targetsBytes = 5_000_000
    public var rootRotations = 256
    public var delegations = 32
    public var bins = 1024

    public init() {}
}
