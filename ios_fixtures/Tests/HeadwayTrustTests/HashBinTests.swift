import Foundation
import HeadwayContract
import Testing

@testable import HeadwayTrust

/// Stories of one device and what a registry serves, stage after stage: before, during and after a split into bins.
@Suite struct HashBinTests {
    @Test(.enabled(if: canVerifySignatures, "this build has no libcrypto"))
    func stories() async throws {
        let stories = try readStories()
        #expect(!stories.isEmpty)
        for story in stories {
            let storage = MemoryStorage()
            let comment = story["comment"]?.text ?? ""
            let bootstrap = Array(try #require(story["bootstrap"]?.text).utf8)
            let wanted = (story["wanted"]?.items ?? []).compactMap { one in
                one.items.flatMap { parts in parts[0].text.flatMap { name in parts[1].integer.map { (name, $0) } } }
            }
            for (number, stage) in (story["stages"]?.items ?? []).enumerated() {
                let files = try #require(stage.members?["files"]?.members)
                let fetcher = ServedFiles(files: files.compactMapValues { $0.text })
                func client() throws -> TrustedClient {
                    try TrustedClient(
                        metadataURL: "m", bootstrap: bootstrap, nowS: 1_800_000_000, fetcher: fetcher, storage: storage)
                }
                var (one, other) = (try client(), try client())
                let found = await outcome { () async throws(HeadwayError) in
                    try await one.refresh()
                    return try await one.releases(baseID: "kd", wanted)
                }
                #expect(found == expected(stage.members?["found"]), "\(comment), stage \(number)")
                let listed = await outcome { () async throws(HeadwayError) in
                    try await other.refresh()
                    return try await other.heads(baseID: "kd")
                }
                #expect(listed == expected(stage.members?["listed"]), "\(comment), stage \(number)")
            }
        }
    }

    /// What was found, in one order, or the code of the refusal.
    private func outcome(_ look: () async throws(HeadwayError) -> [HeadTarget]) async -> [String] {
        do {
            return try await look().map { "\($0.name)@\($0.release)" }.sorted()
        } catch {
            return [error.code]
        }
    }

    private func expected(_ value: JSONValue?) -> [String] {
        value?.items.map { $0.compactMap(\.text).sorted() } ?? [value?.text ?? "nothing"]
    }

    private func readStories() throws -> [[String: JSONValue]] {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: package.appendingPathComponent("vectors/hash_bins.json"))
        return try #require(try decodeAnyJSON(Array(data), document: "hash_bins").members?["cases"]?.items)
            .compactMap(\.members)
    }
}

private struct ServedFiles: Fetcher {
    let files: [String: String]

    func fetch(_ url: String, maxBytes: Int) async throws(HeadwayError) -> Fetched {
        guard let text = files[String(url.dropFirst(2))] else { return Fetched(status: 404, body: []) }
        return Fetched(status: 200, body: Array(text.utf8))
    }
}

private final class MemoryStorage: MetadataStorage, @unchecked Sendable {
    private var files: [String: [UInt8]] = [:]

    func read(_ name: String) -> [UInt8]? { files[name] }

    func writeAtomic(_ name: String, _ data: [UInt8]) throws(HeadwayError) { files[name] = data }
}
