/// Names, release numbers, operating-system versions and references such as `topic@17`.

/// Releases of a head count from 1 to here.
public let maxRelease = 999_999_999

/// `major.minor.patch`; missing parts are 0, so that 17 equals 17.0.
public struct Version: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let major: Int
    public let minor: Int
    public let patch: Int

    public init(_ major: Int, _ minor: Int, _ patch: Int) { (self.major, self.minor, self.patch) = (major, minor, patch) }

    /// Reads `1`, `1.2` or `1.2.3`. Leading zeros and suffixes are `malformed`, so one version has one spelling.
    public init(parsing text: String?, what: String = "version") throws(HeadwayError) {
        let parts = (text ?? "").split(separator: ".", omittingEmptySubsequences: false).map { number(in: String($0)) }
        guard (1...3).contains(parts.count), !parts.contains(nil) else {
            throw malformed(what, "$", "1 to 3 numbers joined by dots")
        }
        let numbers = parts.compactMap { $0 } + [0, 0]
        self.init(numbers[0], numbers[1], numbers[2])
    }

    public static func < (left: Version, right: Version) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    public var description: String { "\(major).\(minor).\(patch)" }
}

/// 0 … 999999 without a leading zero.
private func number(in text: String) -> Int? {
    guard (1...6).contains(text.utf8.count), isDecimal(text), text == "0" || !text.utf8.starts(with: "0".utf8) else {
        return nil
    }
    return Int(text)
}

private func isDecimal(_ text: String) -> Bool { text.utf8.allSatisfy { (0x30...0x39).contains($0) } }

/// Whether `text` is 1–63 of `a-z 0-9 -`, with no dash at either end (an RFC 1123 label).
public func isName(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let dash = UInt8(ascii: "-")
    return (1...63).contains(bytes.count) && bytes.first != dash && bytes.last != dash
        && bytes.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == dash }
}

/// An app, base, head or channel name; `malformed` unless ``isName(_:)``.
public func parseName(_ text: String?, what: String = "name") throws(HeadwayError) -> String {
    guard let text, isName(text) else {
        throw malformed(what, "$", "1 to 63 of a-z, 0-9 and -, with no dash at either end")
    }
    return text
}

/// A release number in decimal, without a leading zero.
public func parseRelease(_ text: String?, what: String = "release") throws(HeadwayError) -> Int {
    guard let text, let value = releaseNumber(text) else {
        throw malformed(what, "$", "a number from 1 to \(maxRelease)")
    }
    return value
}

private func releaseNumber(_ text: String) -> Int? {
    guard (1...9).contains(text.utf8.count), isDecimal(text), !text.utf8.starts(with: "0".utf8) else { return nil }
    return Int(text)
}

/// What a person may write to mean a release.
public enum Reference: Equatable, Sendable {
    /// `name@17`: one release of a head.
    case release(name: String, number: Int)
    /// `name@stable`: what a channel offers under that name now.
    case channel(name: String, channel: String)
    /// `sha256:…`
    case digest(Digest)

    /// Throws `malformed_reference`, or `malformed` for a digest that is none.
    public init(parsing text: String) throws(HeadwayError) {
        if text.utf8.starts(with: "sha256:".utf8) {
            self = .digest(try Digest(parsing: .text(text), document: "reference", path: "$"))
            return
        }
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, isName(parts[0]) {
            if let number = releaseNumber(parts[1]) {
                self = .release(name: parts[0], number: number)
                return
            }
            if isName(parts[1]), !isDecimal(parts[1]) {
                self = .channel(name: parts[0], channel: parts[1])
                return
            }
        }
        throw HeadwayError(
            .refused(.invalid),
            code: "malformed_reference",
            message: "'\(text)' is not a reference.",
            hint: "Write NAME@RELEASE, NAME@CHANNEL or sha256:DIGEST, for example topic@17 or topic@stable."
        )
    }
}
