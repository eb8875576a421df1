/// The one error type of Headway, in five families grouped by what the caller can do about it.
///
/// An expected outcome (no update, known bad, incompatible base) is a value, never an error. An error never carries a
/// user's text or a secret. The Python twin is `headway.contract.errors`.
public struct HeadwayError: Error, Equatable, Sendable {
    /// What the caller can do.
    public enum Family: Equatable, Sendable {
        /// A signature, digest, expiry or version check failed. Never retry the same bytes.
        case untrusted
        /// Authentic, but cannot work here. Skip it and report it.
        case incompatible
        /// The network or the other side failed. Retry later, with backoff; after `retryAfterS` seconds if it said so.
        case transfer(retryAfterS: Int?)
        /// The local store is unusable. Run the embedded head, start the store clean, report it.
        case deviceStore
        /// The request itself is wrong. Change it; repeating it cannot help.
        case refused(RefusalKind)

        /// The name that travels in a problem document.
        public var name: String {
            switch self {
            case .untrusted: "untrusted"
            case .incompatible: "incompatible"
            case .transfer: "transfer"
            case .deviceStore: "device_store"
            case .refused: "refused"
            }
        }
    }

    /// Refines a refusal for exit codes and HTTP.
    public enum RefusalKind: String, Equatable, Sendable, CaseIterable {
        case invalid
        case notAuthenticated = "not_authenticated"
        case notAllowed = "not_allowed"
        case notFound = "not_found"
        case conflict
        case tooLarge = "too_large"
        case gate
        case rateLimited = "rate_limited"
    }

    public let family: Family
    /// Stable across versions and safe to switch on.
    public let code: String
    /// One sentence for people.
    public let message: String
    /// What to do next.
    public let hint: String
    /// Scalars for logs.
    public let data: [String: JSONValue]

    public init(_ family: Family, code: String, message: String, hint: String, data: [String: JSONValue] = [:]) {
        self.family = family
        self.code = code
        self.message = message
        self.hint = hint
        self.data = data
    }

    /// One line for a log: what happened, and what to do next.
    public var diagnostics: String { "\(message) [\(code)] \(hint)" }
}

/// The error of every parser in the contract: `document`, at `path`, wanted `expected`.
public func malformed(_ document: String, _ path: String, _ expected: String) -> HeadwayError {
    let whole = path == "$"
    return HeadwayError(
        .refused(.invalid),
        code: "malformed",
        message: whole
            ? "The \(document) must be \(expected)."
            : "The \(document) is malformed: \(path) must be \(expected).",
        hint: whole ? "Correct it." : "Correct that field, or write the document with a current Headway tool.",
        data: ["document": .text(document), "path": .text(path)]
    )
}
