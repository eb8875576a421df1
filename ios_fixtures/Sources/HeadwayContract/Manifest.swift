/// The manifest: the signed list of a release's files.
///
/// A release on disk must be *exactly* its manifest: no file missing, none extra. A bad path is refused, never
/// repaired, because repair is where parsers disagree (see `Paths.swift`).
public struct Manifest: Equatable, Sendable {
    public static let schema = 1

    /// What the release is of.
    public enum Kind: String, CaseIterable, Sendable {
        case base, head

        /// What such a release may weigh.
        public var limits: Limits {
            switch self {
            case .head: Limits(maxFiles: 32, maxFileBytes: 32 << 20, maxTotalBytes: 64 << 20)
            case .base: Limits(maxFiles: 256, maxFileBytes: 2 << 30, maxTotalBytes: 2 << 30)
            }
        }
    }

    /// What a release may weigh. Sizes are bytes.
    public struct Limits: Equatable, Sendable {
        public let maxFiles: Int
        public let maxFileBytes: Int
        public let maxTotalBytes: Int
    }

    /// One artifact of a release and where it stands in it.
    public struct File: Equatable, Sendable {
        public let path: String
        public let digest: Digest
        public let size: Int
        public let mediaType: String
    }

    public let kind: Kind
    public let app: String
    /// Base id or head name.
    public let id: String
    /// Base version, or release number of a head.
    public let version: String
    /// In byte order of their paths.
    public let files: [File]
    /// Texts and integers for people and reports; no rule reads them.
    public let facts: [String: JSONValue]

    /// Reads and checks a manifest; throws `malformed`, `unsafe_path` or `too_large`.
    public init(data: [UInt8]) throws(HeadwayError) {
        let fields = try decode(data, document: "manifest")
        try fields.schema(Self.schema)
        let kind: Kind = try fields.choice("kind")
        version = try fields.text("version", maxLength: 32)
        switch kind {
        case .head: _ = try parseRelease(version, what: "manifest version")
        case .base: _ = try Version(parsing: version, what: "manifest version")
        }
        let limits = kind.limits
        files = try fields.objects("files", most: limits.maxFiles) { (entry) throws(HeadwayError) in
            File(
                path: try checkPath(try entry.text("path", maxLength: 1024)),
                digest: try entry.digest("digest"),
                size: try entry.integer("size", high: limits.maxFileBytes),
                mediaType: try entry.text("media_type", maxLength: 128)
            )
        }.sorted { precedes($0.path, $1.path) }
        try checkFileSet(files.map(\.path))
        self.kind = kind
        app = try parseName(try fields.text("app"), what: "app")
        id = try parseName(try fields.text("id"), what: "id")
        facts = try Self.facts(try fields.nested("facts"))
        guard totalBytes <= limits.maxTotalBytes else {
            throw HeadwayError(
                .refused(.tooLarge),
                code: "too_large",
                message: "The release has \(totalBytes) bytes, more than \(limits.maxTotalBytes).",
                hint: "Make the model smaller, or split what is not needed on the device from the release."
            )
        }
    }

    private static func facts(_ fields: Fields) throws(HeadwayError) -> [String: JSONValue] {
        var facts: [String: JSONValue] = [:]
        for name in fields.names {
            if let text = try? fields.text(name) {
                facts[name] = .text(text)
            } else {
                facts[name] = .integer(try fields.integer(name, low: -JSONLimits.maxInteger))
            }
        }
        return facts
    }

    /// Bytes of all files together: what a device downloads at most.
    public var totalBytes: Int { files.reduce(0) { $0 + $1.size } }

    /// The entry at `path`; throws `missing_file`.
    public func file(_ path: String) throws(HeadwayError) -> File {
        guard let file = files.first(where: { $0.path == path }) else { throw missing(path) }
        return file
    }

    /// Tree digest of the files under `folder/`, by paths relative to it: the digest of a base.
    ///
    /// Throws `missing_file` where no file lies there or `folder` is a file itself.
    public func packageDigest(_ folder: String) throws(HeadwayError) -> Digest {
        let prefix = folder + "/"
        let inside = files.filter { $0.path.hasPrefix(prefix) }
        guard !inside.isEmpty else { throw missing(prefix) }
        return try treeDigest(inside.map { (String($0.path.dropFirst(prefix.count)), $0.digest, $0.size) })
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "schema": .integer(Self.schema),
            "kind": .text(kind.rawValue),
            "app": .text(app),
            "id": .text(id),
            "version": .text(version),
            "files": .list(files.map(\.json)),
            "facts": .object(facts),
        ])
    }

    /// Canonical bytes: the content of `manifest.json`, which signed metadata pins.
    public func bytes() throws(HeadwayError) -> [UInt8] { try canonicalJSON(json, document: "manifest") }

    /// Digest of the canonical bytes.
    public func digest() throws(HeadwayError) -> Digest { digestOf(try bytes()) }
}

extension Manifest.File {
    fileprivate var json: JSONValue {
        .object([
            "path": .text(path), "digest": .text(digest.text), "size": .integer(size), "media_type": .text(mediaType),
        ])
    }
}

private func missing(_ path: String) -> HeadwayError {
    HeadwayError(
        .refused(.invalid),
        code: "missing_file",
        message: "The release has no file \(path).",
        hint: "Publish the release again with \(path) in its folder.",
        data: ["path": .text(path)]
    )
}
