import HeadwayContract

/// Carrying a personal head over to a new release by its weights: `new + α · (personal − old)`.
///
/// The Python twin is `headway.device.rebase`. Candidates are judged elsewhere; nothing here says which is best.

/// The shares of the personal change that are tried.
public let mergeAlphas: [Float] = [0.25, 0.5, 0.75, 1]

/// A head with its labels, in the order of its output.
public struct Labelled: Equatable, Sendable {
    public let spec: HeadSpec
    public let labels: [String]

    public init(spec: HeadSpec, labels: [String]) { (self.spec, self.labels) = (spec, labels) }

    fileprivate var shapes: [String: [Int]] {
        Dictionary(uniqueKeysWithValues: spec.tensors.map { ($0.key, $0.shape) })
    }
}

/// Whether the old personal head answers the same question: same labels in the same order, same shapes.
public func canKeep(personal: Labelled, release: Labelled) -> Bool {
    personal.labels.elementsEqual(release.labels, by: isSame) && personal.shapes == release.shapes
}

/// The merged head for `alpha`, or nil where the layers do not fit each other.
///
/// `old` is the release that `personal` grew on. Rows of the last layer are matched by label name; a label that is new
/// in the release starts as the release has it. Throws `weights` where a sum is not finite.
public func merged(
    release: Labelled, personal: Labelled, old: Labelled, alpha: Float
) throws(HeadwayError) -> HeadSpec? {
    guard personal.labels.elementsEqual(old.labels, by: isSame), personal.shapes == old.shapes,
        release.spec.tensors.count == old.spec.tensors.count
    else { return nil }
    let (mine, before, new) = (personal.spec.weights, old.spec.weights, release.spec.weights)
    var weights: [String: [Float]] = [:]
    for tensor in release.spec.tensors {
        guard let grown = mine[tensor.key], let start = before[tensor.key], let base = new[tensor.key] else { return nil }
        var change = zip(grown, start).map { $0 - $1 }
        if tensor.layer == release.spec.tensors.last?.layer {
            change = rows(of: change, labels: old.labels, wanted: release.labels)
        }
        guard change.count == base.count else { return nil }
        weights[tensor.key] = zip(base, change).map { $0 + alpha * $1 }
    }
    return try release.spec.replacing(weights)
}

/// `values` with one row for each label in `labels`, as rows for `wanted`; zeros for a label that is new.
private func rows(of values: [Float], labels: [String], wanted: [String]) -> [Float] {
    let width = values.count / max(labels.count, 1)
    return wanted.flatMap { label in
        guard let row = labels.firstIndex(where: { isSame($0, label) }) else {
            return [Float](repeating: 0, count: width)
        }
        return Array(values[(row * width)..<((row + 1) * width)])
    }
}

/// Labels are equal when their bytes are: `String`'s own equality goes by canonical equivalence.
private func isSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
