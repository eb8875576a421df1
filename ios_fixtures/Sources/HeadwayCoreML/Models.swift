#if canImport(CoreML)
import CoreML
import Foundation
import HeadwayContract

/// The base: token ids to a feature vector. Shared by all heads, never trained.
public struct BaseModel {
    private let model: MLModel
    private let tokenizer: Tokenizer
    private let contract: FeatureContract

    /// `compiled` is the base's `.mlmodelc`. Throws `contract_mismatch` unless the vocabulary is the contract's.
    public init(compiled: URL, tokenizer: Tokenizer, contract: FeatureContract) throws {
        guard contract.tokenizer == tokenizer.digest else { throw mismatch("the tokenizer is another one") }
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .all
        model = try MLModel(contentsOf: compiled, configuration: configuration)
        (self.tokenizer, self.contract) = (tokenizer, contract)
    }

    /// The features of `text`, as many as the contract says.
    public func features(of text: String) throws -> [Float] {
        let length = contract.maxSequenceLength
        let encoded = tokenizer.encode(text, maxLength: length)
        let inputs = try MLDictionaryFeatureProvider(dictionary: [
            "input_ids": MLMultiArray(MLShapedArray(scalars: encoded.inputIDs, shape: [1, length])),
            "attention_mask": MLMultiArray(MLShapedArray(scalars: encoded.attentionMask, shape: [1, length])),
        ])
        let features = try floats(model.prediction(from: inputs), contract.output)
        guard features.count == contract.dimension else { throw mismatch("it gives \(features.count) features") }
        return features
    }
}

/// A head: features to probabilities of labels.
public struct HeadModel {
    private let model: MLModel

    /// `compiled` is the head's `.mlmodelc`: a release's, or a personal generation.
    public init(compiled: URL) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .cpuOnly
        model = try MLModel(contentsOf: compiled, configuration: configuration)
    }

    /// One probability for each label, in the order of `labels.json`. Throws `not_finite` for NaN or infinity.
    public func probabilities(of features: [Float]) throws -> [Float] {
        let input = MLMultiArray(MLShapedArray(scalars: features, shape: [features.count]))
        let inputs = try MLDictionaryFeatureProvider(dictionary: ["features": input])
        let probabilities = try floats(model.prediction(from: inputs), "probabilities")
        guard probabilities.allSatisfy(\.isFinite) else {
            throw HeadwayError(
                .incompatible, code: "not_finite", message: "The head gave NaN or infinity.",
                hint: "Roll back to the head before it."
            )
        }
        return probabilities
    }

    /// Trained weights of a layer, row-major `[outputs, inputs]`, read through Core ML's own key.
    public func weights(layer: String) throws -> [Float] {
        guard let array = try model.parameterValue(for: MLParameterKey.weights.scoped(to: layer)) as? MLMultiArray
        else { throw mismatch("it has no weights in \(layer)") }
        return MLShapedArray<Float>(converting: array).scalars
    }

    /// Compiles a head's `.mlmodel` and moves the result to `destination`, since Core ML's own place is temporary.
    public static func compile(_ head: URL, to destination: URL) async throws {
        let compiled = try await MLModel.compileModel(at: head)
        let files = FileManager.default
        if files.fileExists(atPath: destination.path) {
            _ = try files.replaceItemAt(destination, withItemAt: compiled)
        } else {
            try files.createDirectory(at: destination.deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.moveItem(at: compiled, to: destination)
        }
    }
}

private func floats(_ output: any MLFeatureProvider, _ name: String) throws -> [Float] {
    guard let array = output.featureValue(for: name)?.multiArrayValue else { throw mismatch("it has no output \(name)") }
    return MLShapedArray<Float>(converting: array).scalars
}

private func mismatch(_ why: String) -> HeadwayError {
    HeadwayError(
        .incompatible, code: "contract_mismatch", message: "The model is not what its contract says: \(why).",
        hint: "Ship the base, vocabulary and contract of one base version together."
    )
}
#endif
