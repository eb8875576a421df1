/// Digests, and the one byte form of JSON that is digested and signed. The Python twin is `headway.contract.digests`.

/// `sha256:<64 lower-case hex>`, made by ``digestOf(_:)`` or ``Digest/init(parsing:document:path:)`` only.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The whole spelling, `sha256:` included.
    public let text: String

    fileprivate init(hash: [UInt8]) { text = "sha256:" + hexadecimal(hash) }

    /// Reads `value`; anything but `sha256:` and 64 lower-case hex digits is `malformed`.
    public init(
        parsing value: JSONValue?, document: String = "digest", path: String = "digest"
    ) throws(HeadwayError) {
        guard let text = value?.text, Digest.isSpelled(text) else {
            throw malformed(document, path, "sha256: and 64 lower-case hex digits")
        }
        self.text = text
    }

    /// The 64 hex digits: how an artifact is named in a URL or a folder.
    public var hex: String { String(text.dropFirst("sha256:".count)) }

    public var description: String { text }

    private static func isSpelled(_ text: String) -> Bool {
        text.utf8.count == 71 && text.utf8.starts(with: "sha256:".utf8) && isLowerHex(text.utf8.dropFirst(7))
    }
}

/// Whether every byte is one of `0`–`9`, `a`–`f`.
func isLowerHex(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// SHA-256 digest of `data`.
public func digestOf(_ data: some Sequence<UInt8>) -> Digest {
    Digest(hash: sha256(data))
}

/// Digest and size in bytes of a stream, without holding it.
public func digestOfChunks(_ chunks: some Sequence<[UInt8]>) -> (digest: Digest, size: Int) {
    var state = SHA256State()
    var size = 0
    for chunk in chunks {
        state.update(chunk)
        size += chunk.count
    }
    return (Digest(hash: state.finish()), size)
}

func sha256(_ data: some Sequence<UInt8>) -> [UInt8] {
    var state = SHA256State()
    state.update(data)
    return state.finish()
}

/// Digest of a folder: of the canonical list of its files. The order given does not matter.
///
/// Throws `malformed` where a path is not printable ASCII.
public func treeDigest(_ files: [(path: String, digest: Digest, size: Int)]) throws(HeadwayError) -> Digest {
    let rows = files.sorted { precedes($0.path, $1.path) }.map { file in
        JSONValue.object([
            "digest": .text(file.digest.text), "path": .text(file.path), "size": .integer(file.size),
        ])
    }
    return digestOf(try canonicalJSON(.list(rows), document: "file list"))
}

/// Byte order, the only order of the contract: `String`'s own `<` goes by canonical equivalence.
public func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
