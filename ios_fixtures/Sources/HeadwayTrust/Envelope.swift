import HeadwayContract

/// Signed TUF metadata as it came: signatures, and the canonical bytes that they are over.
struct Envelope: Sendable {
    /// By key id.
    let signatures: [String: [UInt8]]
    let signed: JSONValue
    let message: [UInt8]
    let version: Int
    let expiresS: Int

    /// Reads metadata of `type`; throws `malformed_metadata`.
    init(_ data: [UInt8], type: String) throws(HeadwayError) {
        self = try judged { () throws(HeadwayError) in
            try Envelope(whole: try Fields(try decodeAnyJSON(data, document: type), document: type), type: type)
        }
    }

    private init(whole: Fields, type: String) throws(HeadwayError) {
        let fields = try whole.nested("signed")
        guard try fields.text("_type") == type, try fields.text("spec_version").hasPrefix("1.") else {
            throw fields.wrong("_type", "\(type) of TUF 1")
        }
        guard let expires = secondsOf(try fields.text("expires")) else {
            throw fields.wrong("expires", "a time such as 2030-01-31T12:00:00Z")
        }
        signatures = try Self.signatures(whole)
        signed = fields.value
        message = try signableJSON(fields.value, document: type)
        version = try fields.integer("version", low: 1)
        expiresS = expires
    }

    private static func signatures(_ whole: Fields) throws(HeadwayError) -> [String: [UInt8]] {
        let all = try whole.objects("signatures") { (entry) throws(HeadwayError) in
            (id: try entry.text("keyid"), signature: bytes(hex: try entry.text("sig", maxLength: 16_384)) ?? [])
        }
        let byID = Dictionary(all.map { ($0.id, $0.signature) }) { first, _ in first }
        guard byID.count == all.count else { throw whole.wrong("signatures", "a list with one signature for each key") }
        return byID
    }

    /// The members of `signed`.
    func fields(_ document: String) throws(HeadwayError) -> Fields { try Fields(signed, document: document) }
}

/// The error of everything that does not earn trust.
func untrusted(_ code: String, _ message: String) -> HeadwayError {
    HeadwayError(
        .untrusted, code: code, message: message,
        hint: "Keep running what is installed; if this stays, tell the operator of the registry."
    )
}

/// Runs `read`, turning a `malformed` of the contract into `malformed_metadata`.
func judged<T>(_ read: () throws(HeadwayError) -> T) throws(HeadwayError) -> T {
    do {
        return try read()
    } catch {
        if error.family == .untrusted { throw error }
        throw untrusted("malformed_metadata", error.message)
    }
}

/// Seconds since 1970 of `2030-01-31T12:00:00Z`, or nil. Only that form: TUF allows no other.
func secondsOf(_ text: String) -> Int? {
    let shape = "dddd-dd-ddTdd:dd:ddZ"
    guard text.utf8.count == shape.utf8.count,
        zip(text.utf8, shape.utf8).allSatisfy({ $1 == UInt8(ascii: "d") ? (0x30...0x39).contains($0) : $0 == $1 })
    else { return nil }
    let parts = text.split(whereSeparator: { "-T:Z".contains($0) }).compactMap { Int($0) }
    let (year, month, day, hour, minute, second) = (parts[0], parts[1], parts[2], parts[3], parts[4], parts[5])
    guard (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60 else { return nil }
    // Days since 1970 in the proleptic Gregorian calendar, counting years from March.
    let shifted = month > 2 ? year : year - 1
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day
    return (days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second
}
