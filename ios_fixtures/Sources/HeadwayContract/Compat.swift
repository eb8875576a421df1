/// Whether a head may run on the base that is really present: ``judge(_:host:)``. Pure, total, the same everywhere.

/// Why a head is not offered or not installed, in the order in which a person should hear them.
public enum Reason: String, CaseIterable, Comparable, Sendable {
    case noCompatibleHead = "no_compatible_head"
    case expiredMetadata = "expired_metadata"
    case clock
    case revoked
    case recalled
    case wrongApp = "wrong_app"
    case baseNotProven = "base_not_proven"
    case contractMismatch = "contract_mismatch"
    case osTooOld = "os_too_old"
    case osTooNew = "os_too_new"
    case appTooOld = "app_too_old"
    case quarantinedHere = "quarantined_here"
    case belowFloor = "below_floor"
    case halted
    case heldByRollout = "held_by_rollout"
    case excluded

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    public static func < (left: Reason, right: Reason) -> Bool { left.rank < right.rank }
}

/// What the head would run on: the base *present* (by digest), its contract, the app and the system.
public struct HostProfile: Equatable, Sendable {
    public var app: String
    public var base: Digest
    public var contract: Digest
    public var os: Version
    public var appBuild: Int

    public init(app: String, base: Digest, contract: Digest, os: Version, appBuild: Int) {
        (self.app, self.base, self.contract, self.os, self.appBuild) = (app, base, contract, os, appBuild)
    }
}

/// What ``judge(_:host:)`` says.
public enum Judgement: Equatable, Sendable {
    /// The head may run here; `proof` is the digest of the proof for this base.
    case compatible(proof: Digest)
    /// The head must not run here; every reason, most fundamental first.
    case incompatible([Reason])

    /// The reasons against, empty where compatible.
    public var reasons: [Reason] {
        if case .incompatible(let reasons) = self { return reasons }
        return []
    }
}

/// Judges a head by its signed facts against what is really present.
///
/// Called on the device before every load, because an app update may bring another base.
public func judge(_ head: HeadTarget, host: HostProfile) -> Judgement {
    let proof = head.bases.first { $0.digest == host.base }?.proof
    var reasons: [Reason] = []
    if head.status == .revoked { reasons.append(.revoked) }
    if head.app != host.app { reasons.append(.wrongApp) }
    if proof == nil { reasons.append(.baseNotProven) }
    if head.contract != host.contract { reasons.append(.contractMismatch) }
    if host.os < head.minOS { reasons.append(.osTooOld) }
    if let newest = head.maxOS, newest < host.os { reasons.append(.osTooNew) }
    if host.appBuild < head.minAppBuild { reasons.append(.appTooOld) }
    guard let proof, reasons.isEmpty else { return .incompatible(reasons) }
    return .compatible(proof: proof)
}
