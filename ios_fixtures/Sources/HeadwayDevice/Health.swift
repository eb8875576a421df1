import HeadwayContract

/// Whether a head on trial is good enough to confirm: a pure verdict over measured facts.
///
/// The facts are measured with the head's real file, the base that is really present, and the golden batch that was
/// signed with the head. The Python twin is `headway.device.health`.

/// One class of the golden batch.
public struct ClassScore: Equatable, Sendable {
    public var label: String
    /// Rows that truly have it.
    public var rows: Int
    /// Rows of those that the head found.
    public var found: Int

    public init(label: String, rows: Int, found: Int) { (self.label, self.rows, self.found) = (label, rows, found) }
}

/// What was measured. Deviations are the largest absolute differences from the golden batch.
public struct HealthFacts: Equatable, Sendable {
    public var rows = 0
    public var finite = false
    public var featureDeviation = 0.0
    public var probabilityDeviation = 0.0
    /// Share of rows whose most probable label is the golden one.
    public var agreement = 0.0
    public var classes: [ClassScore] = []
    public var headBytes = 0
    /// Median time of the head alone for one row.
    public var latencyMS = 0.0

    public init() {}
}

/// What the facts must meet.
public struct HealthBudget: Equatable, Sendable {
    public var tolerances = ProofPolicy()
    /// The least recall of a class with `minClassRows` rows or more.
    public var classFloor = 0.5
    public var minClassRows = 5
    public var maxHeadBytes = 8 << 20
    public var maxLatencyMS = 25.0

    public init() {}
}

/// The reason code against confirming a head on trial, the most telling one; nil where it may be confirmed.
///
/// Comparisons ask whether a number is within its bound: NaN is within none.
public func judgeHealth(_ facts: HealthFacts, budget: HealthBudget = HealthBudget()) -> String? {
    let tolerances = budget.tolerances
    if !facts.finite { return "not_finite" }
    if facts.rows < tolerances.minRows { return "golden_too_small" }
    guard facts.featureDeviation * 1e6 <= Double(tolerances.maxFeatureDeviationMicro) else { return "golden_features" }
    guard facts.probabilityDeviation * 1e6 <= Double(tolerances.maxProbabilityDeviationMicro) else {
        return "golden_probabilities"
    }
    guard facts.agreement * 10_000 >= Double(tolerances.minAgreementPermyriad) else { return "golden_agreement" }
    if facts.headBytes > budget.maxHeadBytes { return "too_large" }
    guard facts.latencyMS <= budget.maxLatencyMS else { return "too_slow" }
    let isLost = facts.classes.contains { score in
        score.rows >= budget.minClassRows && Double(score.found) < budget.classFloor * Double(score.rows)
    }
    return isLost ? "class_floor" : nil
}
