import Foundation
import HeadwayContract
import Testing

@testable import HeadwayTrust

/// The small rules of signed metadata. The whole client is run by `tests/swift`, against a real repository over HTTP.
@Suite struct TrustTests {
    private func cases(_ flag: String) throws -> [[String: JSONValue]] {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: package.appendingPathComponent("vectors/trust.json"))
        let all = try #require(try decodeAnyJSON(Array(data), document: "trust").members?["cases"]?.items)
        let chosen = all.compactMap(\.members).filter { $0["flags"]?.items?.contains(.text(flag)) == true }
        #expect(!chosen.isEmpty)
        return chosen
    }

    @Test func times() throws {
        for one in try cases("Time") {
            let text = try #require(one["text"]?.text)
            #expect(secondsOf(text) == one["seconds"]?.integer, "\(text)")
        }
    }

    @Test func patterns() throws {
        for one in try cases("Pattern") {
            let (path, pattern) = (try #require(one["path"]?.text), try #require(one["pattern"]?.text))
            #expect(matches(path, pattern: pattern) == one["matches"]?.bool, "\(path) \(pattern)")
        }
    }

    @Test func bins() throws {
        for one in try cases("Bin") {
            let (path, bits) = (try #require(one["path"]?.text), try #require(one["bits"]?.integer))
            let succinct: [String: JSONValue] = [
                "keyids": .list([]), "threshold": .integer(1), "bit_length": .integer(bits), "name_prefix": .text("bin"),
            ]
            let section: JSONValue = .object([
                "delegations": .object(["keys": .object([:]), "succinct_roles": .object(succinct)])
            ])
            let delegations = try Delegations(try Fields(section, document: "targets"))
            let roles = delegations.roles(for: path)
            #expect(roles.map(\.name) == [one["role"]?.text], "\(path) \(bits)")
            #expect(roles.map(\.isTerminating) == [true])
            let bins = try #require(delegations.bins)
            #expect(bins.count == 1 << bits)
            #expect(bits > 10 || Set(bins.names).count == bins.count && bins.names.contains(roles[0].name))
            #expect(delegations.keys(of: roles[0].name) != nil)
            #expect(delegations.keys(of: "bin-" + String(bins.count, radix: 16)) == nil)
            #expect(delegations.keys(of: "bin") == nil)
        }
    }

    @Test func quoting() throws {
        for one in try cases("Quote") {
            #expect(quoted(try #require(one["name"]?.text)) == one["quoted"]?.text)
        }
    }

    @Test(.enabled(if: canVerifySignatures, "this build has no libcrypto"))
    func signatures() throws {
        for one in try cases("Ed25519") {
            let fields: JSONValue = .object([
                "keytype": .text("ed25519"), "scheme": .text("ed25519"),
                "keyval": .object(["public": one["key"] ?? .null]),
            ])
            let key = try PublicKey(try Fields(fields, document: "key"))
            let signature = try #require(bytes(hex: one["signature"]?.text ?? "-"))
            let message = Array((one["message"]?.text ?? "").utf8)
            let comment = one["comment"]?.text ?? ""
            #expect(key.verifies(signature, over: message) == one["valid"]?.bool, "\(comment)")
        }
    }

    @Test func aKeyThatIsUnknownVerifiesNothing() throws {
        let fields: JSONValue = .object([
            "keytype": .text("other"), "scheme": .text("none"), "keyval": .object(["public": .text("")]),
        ])
        #expect(try !PublicKey(try Fields(fields, document: "key")).verifies([], over: []))
    }

    @Test func storedMetadataSurvivesAndIsReplaced() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        let storage = FolderStorage(folder)
        #expect(storage.read("root_history/1.root.json") == nil)
        try storage.writeAtomic("root_history/1.root.json", [1, 2])
        try storage.writeAtomic("root_history/1.root.json", [3])
        #expect(storage.read("root_history/1.root.json") == [3])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("root_history").path)
        #expect(names == ["1.root.json"])
        #expect(throws: HeadwayError.self) { try storage.writeAtomic("root_history/1.root.json/x", [4]) }
    }
}
