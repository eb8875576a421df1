/// A decoded JSON value that keeps apart what Foundation's readers blur: `true` from 1, integers from fractions.
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// A number written without fraction or exponent that fits 64 bits.
    case integer(Int)
    /// Any other number, as it was written. No document of the contract may hold one.
    case fraction(String)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    /// The members of an object, or nil.
    public var members: [String: JSONValue]? {
        if case .object(let members) = self { return members }
        return nil
    }

    /// The items of a list, or nil.
    public var items: [JSONValue]? {
        if case .list(let items) = self { return items }
        return nil
    }

    /// The text, or nil.
    public var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }

    /// The integer, or nil; `true` is none.
    public var integer: Int? {
        if case .integer(let value) = self { return value }
        return nil
    }

    /// The boolean, or nil; 1 is none.
    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }
}

/// Limits of the value space that every reader shares; see ``checkValue(_:document:)``.
public enum JSONLimits {
    /// Largest absolute integer, 2^53-1: JavaScript's and Swift's readers would disagree beyond it.
    public static let maxInteger = 9_007_199_254_740_991
    /// Lists and objects inside one another, the outermost included.
    public static let maxNesting = 32
}
