/// WordPiece over a fixed vocabulary: text to token ids, as trainer, SDK and this client share it.
///
/// The result depends on the text, the vocabulary and ``Normaliser/version`` alone; ``digest`` names the last two.
public struct Tokenizer: Sendable {
    /// One text as the model takes it: ids and mask, both exactly the length asked for; mask 1 where a token stands.
    public struct Encoded: Equatable, Sendable {
        public let inputIDs: [Int32]
        public let attentionMask: [Int32]
    }

    private static let maxWordScalars = 100
    private let ids: [[UInt8]: Int32]
    private let pad: Int32
    private let unknown: Int32
    private let start: Int32
    private let end: Int32
    /// `sha256:<hex>` over the normaliser's version and the vocabulary.
    public let digest: Digest

    /// Takes the tokens in id order. Throws `malformed` for a token that stands twice or a missing special token.
    public init(vocabulary: [String]) throws(HeadwayError) {
        var ids: [[UInt8]: Int32] = [:]
        for (index, token) in vocabulary.enumerated() {
            guard ids.updateValue(Int32(index), forKey: Array(token.utf8)) == nil else {
                throw malformed("vocabulary", "$", "a list without a token twice")
            }
        }
        guard let pad = ids[Array("[PAD]".utf8)], let unknown = ids[Array("[UNK]".utf8)],
            let start = ids[Array("[CLS]".utf8)], let end = ids[Array("[SEP]".utf8)]
        else { throw malformed("vocabulary", "$", "a list with [PAD], [UNK], [CLS] and [SEP]") }
        (self.ids, self.pad, self.unknown, self.start, self.end) = (ids, pad, unknown, start, end)
        digest = digestOf(([Normaliser.version] + vocabulary).flatMap { Array($0.utf8) + [0x0a] })
    }

    /// Reads a `vocab.txt`: UTF-8, one token a line, id = line number from 0.
    public init(vocabularyFile data: [UInt8]) throws(HeadwayError) {
        guard String(validating: data, as: UTF8.self) != nil else { throw malformed("vocabulary", "$", "UTF-8") }
        var lines = data.split(separator: 0x0a, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        try self.init(vocabulary: lines.map { line in
            var line = line
            while line.last == 0x0d { line.removeLast() }
            return String(decoding: line, as: UTF8.self)
        })
    }

    /// `[CLS] … [SEP]` unpadded, cut to `maxLength` ids, of which there must be room for two.
    public func ids(of text: String, maxLength: Int) -> [Int32] {
        precondition(maxLength >= 2, "maxLength must leave room for [CLS] and [SEP]")
        var body: [Int32] = []
        for word in Normaliser.words(text) {
            body += pieces(of: word)
            if body.count >= maxLength - 2 { break }
        }
        return [start] + body.prefix(maxLength - 2) + [end]
    }

    /// Ids and mask of `text`, cut and padded to `maxLength`.
    public func encode(_ text: String, maxLength: Int) -> Encoded {
        let ids = ids(of: text, maxLength: maxLength)
        let padding = maxLength - ids.count
        return Encoded(
            inputIDs: ids + Array(repeating: pad, count: padding),
            attentionMask: Array(repeating: 1, count: ids.count) + Array(repeating: 0, count: padding)
        )
    }

    /// Greedy longest match; a word with any part that matches nothing is one unknown token.
    private func pieces(of word: [Unicode.Scalar]) -> [Int32] {
        guard word.count <= Self.maxWordScalars else { return [unknown] }
        var pieces: [Int32] = []
        var start = 0
        while start < word.count {
            guard let (end, id) = longestPiece(of: word, from: start) else { return [unknown] }
            pieces.append(id)
            start = end
        }
        return pieces
    }

    private func longestPiece(of word: [Unicode.Scalar], from start: Int) -> (end: Int, id: Int32)? {
        for end in stride(from: word.count, to: start, by: -1) {
            let bytes = word[start..<end].flatMap { Array(String($0).utf8) }
            if let id = ids[start == 0 ? bytes : Array("##".utf8) + bytes] { return (end, id) }
        }
        return nil
    }
}
