/// The signed facts of a head or base: the `custom` object beside its manifest in TUF targets metadata.
///
/// A device decides everything from these: they are under the publisher's signature, unlike the channel document,
/// which only chooses among them.

/// Whether a release may still be used.
public enum ReleaseStatus: String, CaseIterable, Sendable {
    case live, revoked
}

/// What a new release asks of personal heads.
public enum RebasePolicy: String, CaseIterable, Sendable {
    case replay, merge, keep, discard
}

/// The head→base edge: a base by digest, and the digest of the proof that this head works on it.
public struct ProvenBase: Equatable, Sendable {
    public let digest: Digest
    public let proof: Digest
}

/// The signed facts of one head release.
public struct HeadTarget: Equatable, Sendable {
    public static let schema = 1

    public let app: String
    public let baseID: String
    public let name: String
    public let release: Int
    /// Digest of `head.mlmodel`: recall, quarantine and lineage go by it, whatever the number.
    public let head: Digest
    public let parent: Digest?
    public let bases: [ProvenBase]
    public let contract: Digest
    public let labels: Digest
    public let numClasses: Int
    public let minOS: Version
    public let maxOS: Version?
    public let minAppBuild: Int
    public let status: ReleaseStatus
    public let rebase: RebasePolicy
    /// Size of the whole release.
    public let bytes: Int

    /// Reads signed facts; throws `malformed`.
    public init(_ value: JSONValue?) throws(HeadwayError) {
        let fields = try Fields(value, document: "head target")
        try fields.schema(Self.schema)
        app = try parseName(try fields.text("app"), what: "app")
        baseID = try parseName(try fields.text("base_id"), what: "base id")
        name = try parseName(try fields.text("name"), what: "head name")
        release = try fields.integer("release", low: 1, high: maxRelease)
        head = try fields.digest("head")
        parent = try fields.optional("parent", fields.digest)
        bases = try fields.objects("bases", most: 64) { (edge) throws(HeadwayError) in
            ProvenBase(digest: try edge.digest("digest"), proof: try edge.digest("proof"))
        }
        contract = try fields.digest("contract")
        labels = try fields.digest("labels")
        numClasses = try fields.integer("num_classes", low: 2, high: 10_000)
        minOS = try Version(parsing: try fields.text("min_os"), what: "min_os")
        maxOS = try fields.optional("max_os") { (name) throws(HeadwayError) in
            try Version(parsing: try fields.text(name), what: "max_os")
        }
        minAppBuild = try fields.integer("min_app_build")
        status = try fields.choice("status")
        rebase = try fields.choice("rebase")
        bytes = try fields.integer("bytes")
    }

    /// The `custom` object; inverse of reading.
    public var json: JSONValue {
        let edges = bases.map { JSONValue.object(["digest": .text($0.digest.text), "proof": .text($0.proof.text)]) }
        return .object([
            "schema": .integer(Self.schema),
            "app": .text(app),
            "base_id": .text(baseID),
            "name": .text(name),
            "release": .integer(release),
            "head": .text(head.text),
            "parent": parent.map { .text($0.text) } ?? .null,
            "bases": .list(edges),
            "contract": .text(contract.text),
            "labels": .text(labels.text),
            "num_classes": .integer(numClasses),
            "min_os": .text(minOS.description),
            "max_os": maxOS.map { .text($0.description) } ?? .null,
            "min_app_build": .integer(minAppBuild),
            "status": .text(status.rawValue),
            "rebase": .text(rebase.rawValue),
            "bytes": .integer(bytes),
        ])
    }
}

/// The signed facts of one base version.
public struct BaseTarget: Equatable, Sendable {
    public static let schema = 1

    public let app: String
    public let baseID: String
    public let version: String
    /// Tree digest of the `.mlpackage`: *the* base digest.
    public let package: Digest
    public let contract: Digest
    public let bytes: Int
    public let status: ReleaseStatus

    /// Reads signed facts; throws `malformed`.
    public init(_ value: JSONValue?) throws(HeadwayError) {
        let fields = try Fields(value, document: "base target")
        try fields.schema(Self.schema)
        version = try fields.text("version", maxLength: 32)
        _ = try Version(parsing: version, what: "base version")
        app = try parseName(try fields.text("app"), what: "app")
        baseID = try parseName(try fields.text("base_id"), what: "base id")
        package = try fields.digest("package")
        contract = try fields.digest("contract")
        bytes = try fields.integer("bytes")
        status = try fields.choice("status")
    }

    /// The `custom` object; inverse of reading.
    public var json: JSONValue {
        .object([
            "schema": .integer(Self.schema),
            "app": .text(app),
            "base_id": .text(baseID),
            "version": .text(version),
            "package": .text(package.text),
            "contract": .text(contract.text),
            "bytes": .integer(bytes),
            "status": .text(status.rawValue),
        ])
    }
}
