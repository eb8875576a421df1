/// The feature contract: the interface that a head needs from a base, pinned by digest.
///
/// Two bases with equal shapes are *not* interchangeable: a retrained base gives other numbers. `featureSpace` names
/// the space itself and changes whenever the weights do.
public struct FeatureContract: Equatable, Sendable {
    public static let schema = 1
    public static let maxDimension = 65_536

    /// Type of the features. Core ML heads take float32 vectors.
    public enum DType: String, CaseIterable, Sendable {
        case float32
    }

    /// Name of the feature.
    public let output: String
    /// Length of the feature vector; the shape is of rank 1.
    public let dimension: Int
    public let dtype: DType
    public let featureSpace: String
    /// Digest of normaliser and vocabulary.
    public let tokenizer: Digest
    /// Tokens, `[CLS]` and `[SEP]` included.
    public let maxSequenceLength: Int

    /// Reads `contract.json`; throws `malformed`.
    public init(data: [UInt8]) throws(HeadwayError) {
        let fields = try decode(data, document: "feature contract")
        try fields.schema(Self.schema)
        let shape = try fields.items("shape", most: 1)
        guard shape.count == 1, let dimension = shape[0].integer, (1...Self.maxDimension).contains(dimension) else {
            throw fields.wrong("shape", "a list of one integer from 1 to \(Self.maxDimension)")
        }
        self.dimension = dimension
        output = try fields.text("output", minLength: 1, maxLength: 64)
        dtype = try fields.choice("dtype")
        featureSpace = try fields.text("feature_space", minLength: 1, maxLength: 128)
        tokenizer = try fields.digest("tokenizer")
        maxSequenceLength = try fields.integer("max_sequence_length", low: 3, high: 512)
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "schema": .integer(Self.schema),
            "output": .text(output),
            "shape": .list([.integer(dimension)]),
            "dtype": .text(dtype.rawValue),
            "feature_space": .text(featureSpace),
            "tokenizer": .text(tokenizer.text),
            "max_sequence_length": .integer(maxSequenceLength),
        ])
    }

    /// Canonical bytes: the content of `contract.json`.
    public func bytes() throws(HeadwayError) -> [UInt8] { try canonicalJSON(json, document: "feature contract") }

    /// Digest of the canonical form: what a head's signed metadata names.
    public func digest() throws(HeadwayError) -> Digest { digestOf(try bytes()) }
}
