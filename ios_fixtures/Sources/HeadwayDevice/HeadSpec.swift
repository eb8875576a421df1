import HeadwayContract

/// The trainable weights inside a head's specification (`.mlmodel`): read, and replaced in place.
///
/// Core ML has no call that sets weights before training, so rebasing rewrites the specification and compiles it. New
/// weights have the shapes of the old ones, hence the same bytes in length: nothing else in the file moves or changes,
/// unknown fields included. The Python twin is `headway.coreml.head`; field numbers are those of Core ML's
/// `Model.proto` and `NeuralNetwork.proto`.
public struct HeadSpec: Equatable, Sendable {
    /// One trainable tensor.
    public struct Tensor: Equatable, Sendable {
        /// `<layer>.weights` or `<layer>.biases`, as Apple scopes its parameter keys.
        public let key: String
        /// `[outputs, inputs]` or `[outputs]`, row-major.
        public let shape: [Int]
        fileprivate let content: Range<Int>

        /// The layer's name.
        public var layer: Substring { key[..<(key.lastIndex(of: ".") ?? key.endIndex)] }
    }

    /// The whole specification.
    public let bytes: [UInt8]
    /// In the order of the layers.
    public let tensors: [Tensor]

    /// Reads a specification; throws `not_a_head` unless it is an updatable network of float32 inner products.
    public init(_ bytes: [UInt8]) throws(HeadwayError) {
        let model = try ProtobufField.all(bytes, in: 0..<bytes.count)
        guard model.only(10)?.value == 1, let network = model.only(500) ?? model.only(403) else {
            throw ProtobufField.broken
        }
        var tensors: [Tensor] = []
        for layer in try ProtobufField.all(bytes, in: network.content) where layer.number == 1 {
            tensors += try Self.tensors(bytes, layer.content)
        }
        guard !tensors.isEmpty, Set(tensors.map(\.key)).count == tensors.count else { throw ProtobufField.broken }
        (self.bytes, self.tensors) = (bytes, tensors)
    }

    private static func tensors(_ bytes: [UInt8], _ range: Range<Int>) throws(HeadwayError) -> [Tensor] {
        let layer = try ProtobufField.all(bytes, in: range)
        guard layer.only(10)?.value == 1 else { return [] }
        guard let name = layer.only(1), let body = layer.only(140),
            let text = String(validating: bytes[name.content], as: UTF8.self)
        else { throw ProtobufField.broken }
        let product = try ProtobufField.all(bytes, in: body.content)
        let (inputs, outputs) = (product.only(1)?.value ?? 0, product.only(2)?.value ?? 0)
        guard (1...65_536).contains(inputs), (1...65_536).contains(outputs) else { throw ProtobufField.broken }
        let shape = [Int(outputs), Int(inputs)]
        var tensors = [try tensor(bytes, "\(text).weights", shape, product.only(20))]
        if product.only(10)?.value == 1 {
            tensors.append(try tensor(bytes, "\(text).biases", [shape[0]], product.only(21)))
        }
        return tensors
    }

    private static func tensor(
        _ bytes: [UInt8], _ key: String, _ shape: [Int], _ field: ProtobufField?
    ) throws(HeadwayError) -> Tensor {
        guard let field else { throw ProtobufField.broken }
        let floats = try ProtobufField.all(bytes, in: field.content).only(1)
        guard let content = floats?.content, content.count == 4 * shape.reduce(1, *) else { throw ProtobufField.broken }
        return Tensor(key: key, shape: shape, content: content)
    }

    /// Weights by key, as ``Tensor/key`` names them.
    public var weights: [String: [Float]] {
        Dictionary(uniqueKeysWithValues: tensors.map { ($0.key, floats($0.content)) })
    }

    private func floats(_ range: Range<Int>) -> [Float] {
        stride(from: range.lowerBound, to: range.upperBound, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
        }
    }

    /// The specification with other weights: all of them, finite, of the same shapes. Throws `weights`.
    public func replacing(_ weights: [String: [Float]]) throws(HeadwayError) -> HeadSpec {
        var changed = bytes
        for tensor in tensors {
            guard let values = weights[tensor.key], values.count == tensor.content.count / 4,
                values.allSatisfy(\.isFinite), weights.count == tensors.count
            else {
                throw HeadwayError(
                    .refused(.invalid), code: "weights", message: "The weights '\(tensor.key)' do not fit the head.",
                    hint: "Give finite float32 values of exactly the head's shapes, for every layer."
                )
            }
            for (index, value) in values.enumerated() {
                for byte in 0..<4 {
                    let bits = value.bitPattern >> (8 * UInt32(byte))
                    changed[tensor.content.lowerBound + 4 * index + byte] = UInt8(truncatingIfNeeded: bits)
                }
            }
        }
        return try HeadSpec(changed)
    }
}

extension [ProtobufField] {
    /// The field `number` if it stands once; nil where it is missing or, since readers would differ, repeated.
    fileprivate func only(_ number: Int) -> ProtobufField? {
        let found = filter { $0.number == number }
        return found.count == 1 ? found[0] : nil
    }
}
