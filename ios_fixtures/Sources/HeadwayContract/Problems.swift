/// One mapping from errors to `application/problem+json` (RFC 9457) and to exit codes of command-line programs.

extension HeadwayError.RefusalKind {
    /// HTTP status of a refusal.
    public var status: Int {
        switch self {
        case .invalid, .gate: 422
        case .notAuthenticated: 401
        case .notAllowed: 403
        case .notFound: 404
        case .conflict: 409
        case .tooLarge: 413
        case .rateLimited: 429
        }
    }
}

extension HeadwayError {
    /// HTTP status: a server answers it, a client turns it back.
    public var status: Int {
        switch family {
        case .refused(let kind): kind.status
        case .untrusted, .incompatible: 422
        case .transfer: 503
        case .deviceStore: 500
        }
    }

    /// Exit code: 1 failed, 3 verification, 4 not allowed, 5 not found, 6 conflict, 7 retry may help, 8 gate.
    public var exitCode: Int32 {
        switch family {
        case .refused(.notAuthenticated), .refused(.notAllowed): 4
        case .refused(.notFound): 5
        case .refused(.conflict): 6
        case .refused(.rateLimited), .transfer: 7
        case .refused(.gate): 8
        case .untrusted, .incompatible: 3
        case .refused, .deviceStore: 1
        }
    }

    /// The problem document of an error.
    public var problem: JSONValue {
        let words = code.replacing("_", with: " ")
        var kind = JSONValue.null
        if case .refused(let refusal) = family { kind = .text(refusal.rawValue) }
        return .object([
            "type": .text("/problems/\(code)"),
            "title": .text(words.prefix(1).uppercased() + words.dropFirst().lowercased()),
            "status": .integer(status),
            "detail": .text(message),
            "code": .text(code),
            "hint": .text(hint),
            "data": .object(data),
            "family": .text(family.name),
            "kind": kind,
        ])
    }

    /// Turns a problem document back into an error. Total: `body` may be anything that came over the wire.
    public init(status: Int, body: JSONValue) {
        let members = body.members ?? [:]
        func text(_ name: String) -> String? { members[name]?.text }
        let family: Family =
            switch (status, text("family")) {
            case (500..., _): .transfer(retryAfterS: nil)
            case (_, "untrusted"): .untrusted
            case (_, "incompatible"): .incompatible
            default: .refused(Self.kind(status, claimed: text("kind")))
            }
        self.init(
            family,
            code: text("code") ?? "http_\(status)",
            message: text("detail") ?? text("title") ?? "The server answered \(status).",
            hint: text("hint") ?? "Read the server's log for this request.",
            data: (members["data"]?.members ?? [:]).filter { $0.value.isScalar }
        )
    }

    private static func kind(_ status: Int, claimed: String?) -> RefusalKind {
        if let claimed, let kind = RefusalKind(rawValue: claimed), kind.status == status { return kind }
        return RefusalKind.allCases.first { $0.status == status } ?? .invalid
    }
}

extension JSONValue {
    fileprivate var isScalar: Bool {
        switch self {
        case .null, .bool, .integer, .text: true
        case .fraction, .list, .object: false
        }
    }
}
