import Foundation
import HeadwayContract
import Testing

/// One case of a vector file. The files are the ones that Python runs, found beside the package by `#filePath`.
struct Case: CustomStringConvertible {
    let file: String
    let members: [String: JSONValue]

    subscript(name: String) -> JSONValue { members[name] ?? .null }

    var isValid: Bool { self["valid"].bool ?? true }

    func has(_ flag: String) -> Bool { texts("flags").contains(flag) }

    func texts(_ name: String) -> [String] { (self[name].items ?? []).compactMap(\.text) }

    func text(_ name: String) throws -> String { try #require(self[name].text, "\(self): \(name)") }

    func integer(_ name: String) throws -> Int { try #require(self[name].integer, "\(self): \(name)") }

    /// The bytes under test: `json` as UTF-8, or `json_hex` where they are no text.
    func data() throws -> [UInt8] {
        if let text = self["json"].text { return Array(text.utf8) }
        return bytes(hex: try text("json_hex"))
    }

    var description: String {
        "\(file) \(self["id"].integer ?? 0) (\(self["comment"].text?.prefix(80) ?? ""))"
    }

    /// What `read` gives for a valid case; nil, and exactly a refusal, for an invalid one.
    func check<T>(code: String? = nil, _ read: () throws(HeadwayError) -> T) -> T? {
        do {
            let value = try read()
            #expect(isValid, "\(self) was accepted")
            return isValid ? value : nil
        } catch {
            #expect(!isValid, "\(self) was refused: \(error.diagnostics)")
            #expect(error.family.name == "refused", "\(self)")
            if let wanted = code ?? self["code"].text { #expect(error.code == wanted, "\(self)") }
            return nil
        }
    }
}

/// The cases of `name`.json; all of them, or those with one of `flags`.
func cases(_ name: String, _ flags: String...) throws -> [Case] {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let data = try Data(contentsOf: package.appendingPathComponent("vectors/\(name).json"))
    let whole = try decodeAnyJSON(Array(data), document: name)
    let cases = try #require(whole.members?["cases"]?.items).compactMap(\.members).map { Case(file: name, members: $0) }
    let chosen = cases.filter { one in flags.isEmpty || flags.contains(where: one.has) }
    #expect(!chosen.isEmpty)
    return chosen
}

func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// The canonical form as text.
func canonical(_ value: JSONValue) throws -> String {
    String(decoding: try canonicalJSON(value), as: UTF8.self)
}


func digest(_ value: JSONValue?) throws -> Digest { try Digest(parsing: value) }
