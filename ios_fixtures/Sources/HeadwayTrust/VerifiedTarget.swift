import HeadwayContract

/// A file that a trusted role vouches for. Only ``TrustedClient`` makes one.
public struct VerifiedTarget: Sendable {
    public let path: String
    /// The role that signed it.
    public let role: String
    public let length: Int
    /// 64 hex digits.
    public let sha256: String
    /// The signed facts beside it.
    public let custom: JSONValue?

    /// Where a registry serves it: with its hash before the file name in consistent repositories.
    func servedPath(isConsistent: Bool) -> String {
        guard isConsistent else { return path }
        let cut = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
        return "\(path[..<cut])\(sha256).\(path[cut...])"
    }

    /// Throws `mix_and_match` unless `data` is exactly what was signed.
    public func check(_ data: [UInt8]) throws(HeadwayError) {
        guard data.count == length, digestOf(data).hex == sha256 else {
            throw untrusted("mix_and_match", "\(path) is not what was signed.")
        }
    }
}

/// `text` with every byte but unreserved ASCII (and `keeping`) written as `%XX`: names come from outside.
public func quoted(_ text: String, keeping: String = "") -> String {
    let safe = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~\(keeping)".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    let bytes = text.utf8.flatMap { safe.contains($0) ? [$0] : [0x25, digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: bytes, as: UTF8.self)
}
