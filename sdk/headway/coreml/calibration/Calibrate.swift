// Runs the experiments of a calibration kit on a device and writes result.json.
//
// Use: add this file and the kit's folder (as a folder reference called "kit") to any iOS or macOS app, call
// `try await Calibration(kit: Bundle.main.url(forResource: "kit", withExtension: nil)!).run(into: url)`, and send
// the file back to a computer: `headway coreml calibrate read result.json --out semantics.json`.
// It trains throw-away heads of a few numbers each; no data of the user is touched.

import CoreML
import Foundation

struct Experiment: Decodable {
    let name: String
    let model: String
    let samples: [String: [[Double]]]
    let integers: [String]
    let registersEpochEnd: Bool
    let rates: [String: Double]
    let cancels: Bool
    let keys: [String]

    enum CodingKeys: String, CodingKey {
        case name, model, samples, integers, rates, cancels, keys
        case registersEpochEnd = "registers_epoch_end"
    }
}

struct Kit: Decodable {
    let kit: String
    let experiments: [Experiment]
}

struct Reading: Encodable {
    var weights: [String: [Double]]?
    var loss: Double?
    var completed: Bool?
    var failed: String?
}

struct Result: Encodable {
    let schema = 1
    let kit: String
    let system: String
    var experiments: [String: Reading] = [:]
}

final class Calibration {
    private let folder: URL

    init(kit folder: URL) {
        self.folder = folder
    }

    func run(into file: URL) async throws {
        let description = try Data(contentsOf: folder.appendingPathComponent("experiments.json"))
        let kit = try JSONDecoder().decode(Kit.self, from: description)
        var result = Result(kit: kit.kit, system: ProcessInfo.processInfo.operatingSystemVersionString)
        for experiment in kit.experiments {
            do {
                result.experiments[experiment.name] = try await read(experiment)
            } catch {
                result.experiments[experiment.name] = Reading(failed: String(describing: error))
            }
        }
        try JSONEncoder().encode(result).write(to: file, options: .atomic)
    }

    private func read(_ experiment: Experiment) async throws -> Reading {
        let compiled = try await MLModel.compileModel(at: folder.appendingPathComponent(experiment.model))
        let batch = try samples(of: experiment)
        if experiment.cancels {
            return try await readCancel(compiled, batch)
        }
        return try await withCheckedThrowingContinuation { continuation in
            let finish: (MLUpdateContext) -> Void = { context in
                if let error = context.task.error {
                    continuation.resume(throwing: error)
                } else {
                    continuation.resume(returning: self.reading(context, experiment.keys))
                }
            }
            do {
                let task: MLUpdateTask
                if experiment.registersEpochEnd {
                    let handlers = MLUpdateProgressHandlers(
                        forEvents: [.epochEnd],
                        progressHandler: { self.adjust($0, experiment.rates) },
                        completionHandler: finish)
                    task = try MLUpdateTask(
                        forModelAt: compiled, trainingData: batch, configuration: nil, progressHandlers: handlers)
                } else {
                    task = try MLUpdateTask(
                        forModelAt: compiled, trainingData: batch, configuration: nil, completionHandler: finish)
                }
                task.resume()
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private func adjust(_ context: MLUpdateContext, _ rates: [String: Double]) {
        guard let epoch = context.metrics[.epochIndex] as? Int, let rate = rates[String(epoch)] else { return }
        context.task.resume(withParameters: [.learningRate: rate])
    }

    /// Whether completion is reported after a cancel; waits a few seconds, since it may never come.
    private func readCancel(_ compiled: URL, _ batch: MLBatchProvider) async throws -> Reading {
        let seen = Flag()
        let handlers = MLUpdateProgressHandlers(
            forEvents: [.miniBatchEnd],
            progressHandler: { $0.task.cancel() },
            completionHandler: { _ in seen.raise() })
        let task = try MLUpdateTask(
            forModelAt: compiled, trainingData: batch, configuration: nil, progressHandlers: handlers)
        task.resume()
        try await Task.sleep(nanoseconds: 5_000_000_000)
        return Reading(completed: seen.isRaised)
    }

    private func reading(_ context: MLUpdateContext, _ layers: [String]) -> Reading {
        var weights: [String: [Double]] = [:]
        for layer in layers {
            for (key, name) in [(MLParameterKey.weights, "weights"), (MLParameterKey.biases, "biases")] {
                let value = try? context.model.parameterValue(for: key.scoped(to: layer))
                if let array = value as? MLMultiArray {
                    weights["\(layer).\(name)"] = (0..<array.count).map { array[$0].doubleValue }
                }
            }
        }
        return Reading(weights: weights, loss: context.metrics[.lossValue] as? Double)
    }

    private func samples(of experiment: Experiment) throws -> MLBatchProvider {
        let count = experiment.samples.values.map(\.count).max() ?? 0
        let rows: [MLFeatureProvider] = try (0..<count).map { row in
            var features: [String: Any] = [:]
            for (name, values) in experiment.samples {
                let type: MLMultiArrayDataType = experiment.integers.contains(name) ? .int32 : .float32
                let array = try MLMultiArray(shape: [NSNumber(value: values[row].count)], dataType: type)
                for (index, value) in values[row].enumerated() {
                    array[index] = NSNumber(value: value)
                }
                features[name] = MLFeatureValue(multiArray: array)
            }
            return try MLDictionaryFeatureProvider(dictionary: features)
        }
        return MLArrayBatchProvider(array: rows)
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var raised = false

    func raise() {
        lock.lock()
        raised = true
        lock.unlock()
    }

    var isRaised: Bool {
        lock.lock()
        defer { lock.unlock() }
        return raised
    }
}
