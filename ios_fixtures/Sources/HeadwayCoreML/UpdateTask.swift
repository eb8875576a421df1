#if canImport(CoreML)
import CoreML
import Foundation
import HeadwayContract

/// On-device training of a head: `MLUpdateTask` behind one `async` call.
///
/// What Core ML leaves to the caller is done here: its completion handler is not called after `cancel()`, so the
/// continuation is resumed by the cancellation itself, exactly once; the model of a context lives only inside the
/// handler, so it is written there; `write(to:)` is not atomic, so it goes to a temporary folder that then replaces
/// the destination. Whether the result is any good is judged elsewhere (`judge` of the device), never here.
///
/// Compiled on Apple platforms only. It has not been run on a device.
public final class UpdateTask: @unchecked Sendable {
    private let lock = NSLock()
    private var task: MLUpdateTask?
    private var continuation: CheckedContinuation<TrainedHead, any Error>?
    private var isCancelled = false

    public init() {}

    /// Trains the compiled head at `head` on `samples` and writes the result to `destination` (an `.mlmodelc`).
    ///
    /// One run for each `UpdateTask`. Throws `CancellationError`, or a ``HeadwayError`` with code `training_refused`
    /// (parameters outside the spec's allowed sets and ranges), `training_storage` or `training_failed`.
    public func run(
        head: URL, samples: any MLBatchProvider, parameters: TrainingParameters = TrainingParameters(),
        writingTo destination: URL, progress: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) async throws -> TrainedHead {
        let configuration = MLModelConfiguration()
        // Background work may not use the GPU, and training runs on the CPU anyway.
        configuration.computeUnits = .cpuOnly
        configuration.parameters = parameters.keyed
        let handlers = MLUpdateProgressHandlers(
            forEvents: [.trainingBegin, .epochEnd],
            progressHandler: { context in progress(TrainingEvent(context)) },
            completionHandler: { [self] context in finish(Self.result(of: context, destination: destination)) }
        )
        let created: MLUpdateTask
        do {
            created = try MLUpdateTask(
                forModelAt: head, trainingData: samples, configuration: configuration, progressHandlers: handlers)
        } catch {
            throw Self.failure(error)
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { start(created, $0) }
        } onCancel: {
            cancel()
        }
    }

    /// Stops the training: `run` throws `CancellationError`, and nothing is written.
    public func cancel() {
        lock.lock()
        isCancelled = true
        let running = task
        lock.unlock()
        running?.cancel()
        finish(.failure(CancellationError()))
    }

    private func start(_ created: MLUpdateTask, _ continuation: CheckedContinuation<TrainedHead, any Error>) {
        lock.lock()
        let isTooLate = isCancelled
        if !isTooLate { (task, self.continuation) = (created, continuation) }
        lock.unlock()
        if isTooLate {
            continuation.resume(throwing: CancellationError())
        } else {
            created.resume()
        }
    }

    /// Resumes the caller once; what comes later (a completion after a cancel) is dropped.
    private func finish(_ result: Result<TrainedHead, any Error>) {
        lock.lock()
        let waiting = continuation
        (continuation, task) = (nil, nil)
        lock.unlock()
        waiting?.resume(with: result)
    }

    private static func result(
        of context: MLUpdateContext, destination: URL
    ) -> Result<TrainedHead, any Error> {
        // The error first: after a failure the context's model must not be touched.
        if let error = context.task.error { return .failure(failure(error)) }
        if context.task.state == .failed { return .failure(failure(MLModelError(.update))) }
        let loss = context.metrics[.lossValue] as? Double
        do {
            try replace(destination) { try context.model.write(to: $0) }
            return .success(TrainedHead(model: destination, lastLoss: loss))
        } catch {
            return .failure(storageFailure)
        }
    }

    /// Writes beside `destination` and then takes its place in one step.
    private static func replace(_ destination: URL, _ write: (URL) throws -> Void) throws {
        let files = FileManager.default
        let folder = try files.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: destination, create: true)
        defer { try? files.removeItem(at: folder) }
        let temporary = folder.appendingPathComponent(destination.lastPathComponent)
        try write(temporary)
        if files.fileExists(atPath: destination.path) {
            _ = try files.replaceItemAt(destination, withItemAt: temporary)
        } else {
            try files.createDirectory(at: destination.deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.moveItem(at: temporary, to: destination)
        }
    }

    private static func failure(_ error: any Error) -> any Error {
        switch (error as? MLModelError)?.code {
        case .parameters:
            HeadwayError(
                .refused(.invalid), code: "training_refused", message: "Core ML refused the training parameters.",
                hint: "Keep to the allowed sets and ranges in the head's specification."
            )
        case .io: storageFailure
        default:
            HeadwayError(
                .incompatible, code: "training_failed", message: "Core ML could not train this head.",
                hint: "Keep the generation before; validate the head before publishing it again.",
                data: ["core_ml_code": .integer((error as NSError).code)]
            )
        }
    }

    private static var storageFailure: HeadwayError {
        HeadwayError(
            .deviceStore, code: "training_storage", message: "The trained head could not be read or written.",
            hint: "Free some space; the generation before still runs."
        )
    }
}
#endif
