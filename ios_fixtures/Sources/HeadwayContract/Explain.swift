/// Which release should this device hold, and why not the others: one pure function for device, CLI and console.

/// Everything about a device that a decision may depend on. It is evaluated where the device is.
public struct DeviceProfile: Equatable, Sendable {
    public var host: HostProfile
    public var installID: String
    public var groups: Set<String> = []
    /// What it runs now; 0 is the embedded head.
    public var currentRelease = 0
    /// The highest release it ever confirmed.
    public var floorRelease = 0
    /// That head's digest: an order off exactly that head lifts the floor.
    public var floorHead: Digest?
    public var quarantined: Set<Digest> = []
    public var metadataExpired = false
    public var clockBehind = false

    public init(host: HostProfile, installID: String) { (self.host, self.installID) = (host, installID) }

    /// What no head can be taken under, however good.
    fileprivate var staleness: [Reason] {
        (metadataExpired ? [.expiredMetadata] : []) + (clockBehind ? [.clock] : [])
    }
}

/// One candidate release and every reason against it; no reason means it may be taken.
public struct Verdict: Equatable, Sendable {
    public let release: Int
    public let head: Digest
    public let reasons: [Reason]
}

/// The decision for one head name.
public struct Choice: Equatable, Sendable {
    /// The release to hold, or nil; nil always comes with a reason.
    public let chosen: HeadTarget?
    /// Every candidate, newest first.
    public let verdicts: [Verdict]
    /// Why the newest candidate was not chosen; empty when something newer than what runs was, or when there is none.
    public let reasons: [Reason]
}

/// Heads that a device must leave, also long after it confirmed them.
///
/// Two may order that: the channel, by a recall, and the publisher who signed the release, by its status. Bytes that he
/// revoked under one number and signed as live under another stay. What is merely absent orders nothing.
public func orderedOff(channel: ChannelDocument?, heads: [HeadTarget]) -> Set<Digest> {
    let live = Set(heads.filter { $0.status == .live }.map(\.head))
    let revoked = Set(heads.filter { $0.status == .revoked }.map(\.head)).subtracting(live)
    return revoked.union(channel?.recalled ?? [])
}

/// Decides which release of `name` a device should hold.
///
/// `heads` are verified (signed) facts; a release that the channel offers but nobody signed, or that was signed for
/// another base id than the channel's, is simply not a candidate. The highest release without a reason against wins.
public func explain(
    _ name: String, profile: DeviceProfile, channel: ChannelDocument, heads: [HeadTarget]
) -> Choice {
    let offers = Dictionary(channel.offers.filter { $0.name == name }.map { ($0.release, $0) }) { first, _ in first }
    let recalled = channel.recalled
    let isLifted = profile.floorHead.map(orderedOff(channel: channel, heads: heads).contains) ?? false
    let floor = isLifted ? 0 : profile.floorRelease
    let judged =
        heads
        .filter { $0.name == name && $0.baseID == channel.baseID }
        .compactMap { head in offers[head.release].map { (head, $0) } }
        .sorted { $0.0.release > $1.0.release }
        .map { ($0.0, reasons(against: $0.0, offer: $0.1, profile: profile, recalled: recalled, floor: floor)) }
    let verdicts = judged.map { Verdict(release: $0.0.release, head: $0.0.head, reasons: $0.1) }
    guard let newest = verdicts.first else {
        return Choice(chosen: nil, verdicts: [], reasons: [.noCompatibleHead] + profile.staleness)
    }
    let chosen = judged.first { $0.1.isEmpty }?.0
    let isNewer = chosen.map { $0.release > profile.currentRelease } ?? false
    return Choice(chosen: chosen, verdicts: verdicts, reasons: isNewer ? [] : newest.reasons)
}

private func reasons(
    against head: HeadTarget, offer: Offer, profile: DeviceProfile, recalled: Set<Digest>, floor: Int
) -> [Reason] {
    var reasons = profile.staleness + judge(head, host: profile.host).reasons
    if recalled.contains(head.head) { reasons.append(.recalled) }
    if profile.quarantined.contains(head.head) { reasons.append(.quarantinedHere) }
    if head.release < floor { reasons.append(.belowFloor) }
    if let reason = rolloutReason(against: head, offer: offer, profile: profile) { reasons.append(reason) }
    return reasons.sorted()
}

/// A device that already runs a release keeps it whatever its rollout does: only an order off takes it away.
private func rolloutReason(against head: HeadTarget, offer: Offer, profile: DeviceProfile) -> Reason? {
    if head.release == profile.currentRelease { return nil }
    if offer.state == .halted { return .halted }
    if offer.rollout.excludes(anyOf: profile.groups) { return .excluded }
    let isIn = inRollout(offer.rollout, installID: profile.installID, groups: profile.groups)
    return offer.state == .active && isIn ? nil : .heldByRollout
}
