/// A proof: what came out when a head's golden batch ran through an actual base and head file.
///
/// Numbers are integers (micro-units, permyriad) because proofs are signed.
public struct Proof: Equatable, Sendable {
    public static let schema = 1

    public let head: Digest
    public let base: Digest
    public let golden: Digest
    public let contract: Digest
    public let rows: Int
    /// Largest absolute difference, in 1e-6, between the features that the base gave and the golden ones.
    public let featureDeviationMicro: Int
    /// The same for the head's probabilities computed from the *base's* features.
    public let probabilityDeviationMicro: Int
    /// Rows whose most probable label equals the golden one, of 10,000.
    public let agreementPermyriad: Int
    /// Rows whose most probable label equals the true one, of 10,000.
    public let accuracyPermyriad: Int
    public let finite: Bool
    /// What computed it.
    public let runtime: String

    /// Reads a proof; throws `malformed`.
    public init(data: [UInt8]) throws(HeadwayError) {
        let fields = try decode(data, document: "proof")
        try fields.schema(Self.schema)
        head = try fields.digest("head")
        base = try fields.digest("base")
        golden = try fields.digest("golden")
        contract = try fields.digest("contract")
        rows = try fields.integer("rows", low: 1)
        featureDeviationMicro = try fields.integer("feature_deviation_micro")
        probabilityDeviationMicro = try fields.integer("probability_deviation_micro")
        agreementPermyriad = try fields.integer("agreement_permyriad", high: 10_000)
        accuracyPermyriad = try fields.integer("accuracy_permyriad", high: 10_000)
        finite = try fields.boolean("finite")
        runtime = try fields.text("runtime", minLength: 1, maxLength: 256)
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "schema": .integer(Self.schema),
            "head": .text(head.text),
            "base": .text(base.text),
            "golden": .text(golden.text),
            "contract": .text(contract.text),
            "rows": .integer(rows),
            "feature_deviation_micro": .integer(featureDeviationMicro),
            "probability_deviation_micro": .integer(probabilityDeviationMicro),
            "agreement_permyriad": .integer(agreementPermyriad),
            "accuracy_permyriad": .integer(accuracyPermyriad),
            "finite": .bool(finite),
            "runtime": .text(runtime),
        ])
    }

    /// Canonical bytes.
    public func bytes() throws(HeadwayError) -> [UInt8] { try canonicalJSON(json, document: "proof") }

    /// Digest of the canonical form: what signed metadata names beside the base.
    public func digest() throws(HeadwayError) -> Digest { digestOf(try bytes()) }
}

/// What a proof must show. The defaults allow for another runtime's rounding, not for another base.
public struct ProofPolicy: Equatable, Sendable {
    public var minRows = 8
    public var maxFeatureDeviationMicro = 20_000
    public var maxProbabilityDeviationMicro = 10_000
    public var minAgreementPermyriad = 10_000

    public init() {}
}

/// Every reason, one sentence each, why `proof` is not good enough to offer this head; empty where it is proven.
public func assess(_ proof: Proof, policy: ProofPolicy = ProofPolicy()) -> [String] {
    var reasons: [String] = []
    if !proof.finite { reasons.append("the model gave NaN or infinity") }
    if proof.rows < policy.minRows {
        reasons.append("the golden batch has \(proof.rows) rows, fewer than \(policy.minRows)")
    }
    for (what, found, most) in [
        ("features", proof.featureDeviationMicro, policy.maxFeatureDeviationMicro),
        ("probabilities", proof.probabilityDeviationMicro, policy.maxProbabilityDeviationMicro),
    ] where found > most {
        reasons.append("\(what) deviate by \(decimal(found, 6)), more than \(decimal(most, 6))")
    }
    if proof.agreementPermyriad < policy.minAgreementPermyriad {
        reasons.append("only \(decimal(proof.agreementPermyriad, 2)) % of labels agree with the golden batch")
    }
    return reasons
}

/// `value` / 10^`places`, written exactly.
private func decimal(_ value: Int, _ places: Int) -> String {
    let digits = String(value)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    return "\(padded.dropLast(places)).\(padded.suffix(places))"
}
