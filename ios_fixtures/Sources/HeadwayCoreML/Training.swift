#if canImport(CoreML)
import CoreML
import Foundation

/// What a training run is told. Nil leaves the specification's default; a value must be in its allowed set or range.
public struct TrainingParameters: Sendable {
    public var epochs: Int?
    public var miniBatchSize: Int?
    public var learningRate: Double?
    public var seed: Int?
    /// Core ML's own shuffling is not documented in detail; permute the samples yourself to stay reproducible.
    public var shuffle: Bool? = false

    public init() {}

    var keyed: [MLParameterKey: Any] {
        var values: [MLParameterKey: Any] = [:]
        if let epochs { values[.epochs] = epochs }
        if let miniBatchSize { values[.miniBatchSize] = miniBatchSize }
        if let learningRate { values[.learningRate] = learningRate }
        if let seed { values[.seed] = seed }
        if let shuffle { values[.shuffle] = shuffle }
        return values
    }
}

/// What a training run tells while it goes on. Core ML leaves out metrics at will, so each is optional.
public enum TrainingEvent: Equatable, Sendable {
    case began
    case epochEnded(epoch: Int?, loss: Double?)

    init(_ context: MLUpdateContext) {
        if context.event.contains(.epochEnd) {
            let epoch = context.metrics[.epochIndex] as? Int
            self = .epochEnded(epoch: epoch, loss: context.metrics[.lossValue] as? Double)
        } else {
            self = .began
        }
    }
}

/// A trained head on disk.
public struct TrainedHead: Sendable {
    /// The compiled model.
    public let model: URL
    /// Loss of the last mini-batch, where Core ML told it.
    public let lastLoss: Double?
}

/// Training samples as Core ML wants them: the head's input and the index of the true class.
public struct TrainingSamples {
    /// Name of the head's input, of the target of its loss, and one row for each sample.
    public static func provider(
        features: [[Float]], labels: [Int32], input: String = "features", target: String = "probabilities_true"
    ) throws -> MLArrayBatchProvider {
        let rows = try zip(features, labels).map { row, label in
            try MLDictionaryFeatureProvider(dictionary: [
                input: MLMultiArray(MLShapedArray(scalars: row, shape: [row.count])),
                target: MLMultiArray(MLShapedArray<Int32>(scalars: [label], shape: [1])),
            ])
        }
        return MLArrayBatchProvider(array: rows)
    }
}
#endif
