import HeadwayContract
import HeadwayDevice
import Testing

@Suite struct RebaseTests {
    private func spec(_ value: JSONValue?) throws -> HeadSpec {
        let digits = try #require(value?.text).compactMap(\.hexDigitValue)
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        return try HeadSpec(bytes)
    }

    private func head(_ value: JSONValue?) throws -> Labelled {
        let members = try #require(value?.members)
        return Labelled(spec: try spec(members["spec_hex"]), labels: (members["labels"]?.items ?? []).compactMap(\.text))
    }

    @Test func merges() throws {
        for one in try traces("head_merge") where one["flags"] == .list([.text("Merge")]) {
            let comment: Testing.Comment = "\(one["comment"]?.text ?? "")"
            let (release, personal, old) = (try head(one["release"]), try head(one["personal"]), try head(one["old"]))
            let alpha = try #require(Float(one["alpha"]?.text ?? ""))
            let found = try merged(release: release, personal: personal, old: old, alpha: alpha)
            #expect(try found == spec(one["merged_hex"]), comment)
            #expect(canKeep(personal: personal, release: release) == one["can_keep"]?.bool, comment)
            #expect(try release.spec.replacing(release.spec.weights) == release.spec, comment)
        }
    }

    @Test func brokenSpecifications() throws {
        for one in try traces("head_merge") where one["flags"]?.items?.first == .text("Broken") {
            #expect(throws: HeadwayError.self, "\(one["comment"]?.text ?? "")") { try spec(one["spec_hex"]) }
        }
    }

    @Test func everyCutIsRefusedOrRead() throws {
        let whole = try head(try traces("head_merge")[0]["release"]).spec.bytes
        for end in 0..<whole.count { _ = try? HeadSpec(Array(whole[..<end])) }
        for index in whole.indices {
            var turned = whole
            turned[index] ^= 0xff
            _ = try? HeadSpec(turned)
        }
    }

    @Test func headsThatDoNotFit() throws {
        let all = try traces("head_merge")
        let (three, hidden) = (try head(all[0]["release"]), try head(all[9]["release"]))
        #expect(try merged(release: three, personal: hidden, old: three, alpha: 1) == nil)
        #expect(try merged(release: hidden, personal: three, old: three, alpha: 1) == nil)
        var weights = three.spec.weights
        weights["fc.biases"]?[0] = .nan
        #expect(throws: HeadwayError.self) { try three.spec.replacing(weights) }
        weights["fc.biases"] = [1]
        #expect(throws: HeadwayError.self) { try three.spec.replacing(weights) }
        weights["fc.biases"] = nil
        #expect(throws: HeadwayError.self) { try three.spec.replacing(weights) }
    }
}
