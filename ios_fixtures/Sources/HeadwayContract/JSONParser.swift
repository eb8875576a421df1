/// A strict reader of RFC 8259 over bytes. Total: any bytes give a value or one `malformed` error, never a crash.
///
/// Refused beside broken syntax: bytes that are not UTF-8, half surrogate pairs, a key that stands twice, and nesting
/// past a limit, so that hostile input cannot exhaust the stack.
struct JSONParser {
    private let bytes: [UInt8]
    private let document: String
    private var position = 0
    private var levelsLeft: Int

    private init(_ bytes: [UInt8], document: String, maxNesting: Int) {
        self.bytes = bytes
        self.document = document
        levelsLeft = maxNesting
    }

    /// The one value in `bytes`, with white space around it at most.
    static func parse(_ bytes: [UInt8], document: String, maxNesting: Int) throws(HeadwayError) -> JSONValue {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw malformed(document, "$", "JSON in UTF-8") }
        var parser = JSONParser(bytes, document: document, maxNesting: maxNesting)
        let value = try parser.value()
        parser.skipSpace()
        guard parser.position == bytes.count else { throw parser.broken }
        return value
    }

    private var broken: HeadwayError { malformed(document, "$", "JSON in UTF-8") }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { position += 1 }
    }

    private mutating func take(_ wanted: UInt8) throws(HeadwayError) {
        guard next == wanted else { throw broken }
        position += 1
    }

    private mutating func takes(_ wanted: UInt8) -> Bool {
        guard next == wanted else { return false }
        position += 1
        return true
    }

    private mutating func value() throws(HeadwayError) -> JSONValue {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try nested { (parser) throws(HeadwayError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(HeadwayError) in try parser.list() }
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func nested(
        _ read: (inout JSONParser) throws(HeadwayError) -> JSONValue
    ) throws(HeadwayError) -> JSONValue {
        guard levelsLeft > 0 else { throw malformed(document, "$", "nested less deeply") }
        levelsLeft -= 1
        position += 1
        let value = try read(&self)
        levelsLeft += 1
        return value
    }

    private mutating func object() throws(HeadwayError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        skipSpace()
        if takes(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            let key = try string()
            skipSpace()
            try take(UInt8(ascii: ":"))
            guard members.updateValue(try value(), forKey: key) == nil else {
                throw malformed(document, "$", "an object without duplicate keys")
            }
            skipSpace()
        } while takes(UInt8(ascii: ","))
        try take(UInt8(ascii: "}"))
        return .object(members)
    }

    private mutating func list() throws(HeadwayError) -> JSONValue {
        var items: [JSONValue] = []
        skipSpace()
        if takes(UInt8(ascii: "]")) { return .list(items) }
        repeat {
            items.append(try value())
            skipSpace()
        } while takes(UInt8(ascii: ","))
        try take(UInt8(ascii: "]"))
        return .list(items)
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(HeadwayError) -> JSONValue {
        for byte in word.utf8 { try take(byte) }
        return value
    }

    private mutating func number() throws(HeadwayError) -> JSONValue {
        let start = position
        _ = takes(UInt8(ascii: "-"))
        if !takes(UInt8(ascii: "0")) { try digits() }
        let isWhole = next != UInt8(ascii: ".") && next != UInt8(ascii: "e") && next != UInt8(ascii: "E")
        if takes(UInt8(ascii: ".")) { try digits() }
        if takes(UInt8(ascii: "e")) || takes(UInt8(ascii: "E")) {
            if !takes(UInt8(ascii: "+")) { _ = takes(UInt8(ascii: "-")) }
            try digits()
        }
        let written = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let value = Int(written) { return .integer(value) }
        return .fraction(written)
    }

    private mutating func digits() throws(HeadwayError) {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        guard position > start else { throw broken }
    }

    private mutating func string() throws(HeadwayError) -> String {
        try take(UInt8(ascii: "\""))
        var scalars = String.UnicodeScalarView()
        var start = position
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw broken }
            if byte == UInt8(ascii: "\\") {
                scalars.append(contentsOf: String(decoding: bytes[start..<position], as: UTF8.self).unicodeScalars)
                position += 1
                scalars.append(try escaped())
                start = position
            } else {
                position += 1
            }
        }
        scalars.append(contentsOf: String(decoding: bytes[start..<position], as: UTF8.self).unicodeScalars)
        try take(UInt8(ascii: "\""))
        return String(scalars)
    }

    private mutating func escaped() throws(HeadwayError) -> Unicode.Scalar {
        guard let byte = next else { throw broken }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw broken
        }
    }

    private mutating func unicodeEscape() throws(HeadwayError) -> Unicode.Scalar {
        let high = try fourHexDigits()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xdc00 else { throw broken }
        try take(UInt8(ascii: "\\"))
        try take(UInt8(ascii: "u"))
        let low = try fourHexDigits()
        guard (0xdc00...0xdfff).contains(low) else { throw broken }
        let code = 0x1_0000 + (high - 0xd800) << 10 + (low - 0xdc00)
        guard let scalar = Unicode.Scalar(code) else { throw broken }
        return scalar
    }

    private mutating func fourHexDigits() throws(HeadwayError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw broken
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
