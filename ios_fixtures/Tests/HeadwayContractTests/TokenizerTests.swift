import Foundation
import HeadwayContract
import Testing

/// Ids of real texts with the vocabulary of the bundled base; the vectors come from BERT's own tokenizer.
@Suite struct TokenizerTests {
    private static func url(_ path: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent(path)
    }

    private func file(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: Self.url(path))) }

    private static var hasBase: Bool { FileManager.default.fileExists(atPath: url("models/base/contract.json").path) }

    @Test func bundledVocabulary() throws {
        let tokenizer = try Tokenizer(vocabularyFile: try file("models/base/vocab.txt"))
        let whole = try decodeAnyJSON(try file("vectors/tokenizer.json"), document: "tokenizer").members ?? [:]
        #expect(whole["tokenizer"]?.text == tokenizer.digest.text)
        #expect(whole["normaliser"]?.text == Normaliser.version)
        for one in try #require(whole["cases"]?.items).compactMap(\.members) {
            let text = try #require(one["text"]?.text)
            let ids = (one["ids"]?.items ?? []).compactMap(\.integer).map(Int32.init)
            let length = try #require(one["max_length"]?.integer)
            // Compared by bytes: String's own equality would take a composed and a decomposed letter for one.
            #expect(Array(Normaliser.normalise(text).utf8) == Array((one["normalised"]?.text ?? "").utf8), "\(text)")
            #expect(tokenizer.ids(of: text, maxLength: length) == ids, "\(text)")
            let encoded = tokenizer.encode(text, maxLength: length)
            #expect(Array(encoded.inputIDs.prefix(ids.count)) == ids && encoded.inputIDs.count == length, "\(text)")
            #expect(encoded.attentionMask.reduce(0, +) == Int32(ids.count), "\(text)")
        }
    }

    @Test(.enabled(if: hasBase, "the bundled base is not in this checkout"))
    func theContractNamesItsTokenizer() throws {
        let tokenizer = try Tokenizer(vocabularyFile: try file("models/base/vocab.txt"))
        #expect(try FeatureContract(data: try file("models/base/contract.json")).tokenizer == tokenizer.digest)
    }

    @Test func badVocabularies() {
        for lines in ["[PAD]\n[UNK]\n[CLS]\n[SEP]\n[PAD]\n", "[PAD]\n[UNK]\n[CLS]\n", ""] {
            #expect(throws: HeadwayError.self) { try Tokenizer(vocabularyFile: Array(lines.utf8)) }
        }
        #expect(throws: HeadwayError.self) { try Tokenizer(vocabularyFile: [0xff]) }
    }
}
