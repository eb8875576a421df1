import HeadwayContract

/// The device machine: `advance(state, event) -> (state, effects)`. Pure, total, and the same in Python.
///
/// What always holds, whatever the order of events:
/// - exactly one head may run, at the least the embedded one; never one that is recalled, in quarantine or of another
///   base;
/// - a state that differs on disk is saved before any other effect (``Effect/save`` comes first);
/// - an event that does not fit the state changes nothing: late answers of work that was given up are harmless.
///
/// The machine reads no clock, no file and no random source; times come with events.

/// What becomes of `state` at `event`, and what to do, in this order.
public func advance(
    _ state: DeviceState, _ event: Event, rules: Rules = Rules()
) -> (state: DeviceState, effects: [Effect]) {
    var (new, effects) = countingSaves(from: state, step(state, event, rules), event, rules)
    let removable = state.files.subtracting(new.files)
    if !removable.isEmpty, !effects.contains(where: \.removesFiles) { effects.append(.collect) }
    if new.durable != state.durable { effects.insert(.save, at: 0) }
    return (new, effects)
}

/// Rule 9. A launch is no progress: only coming to rest by work done resets the counter.
///
/// The breaker opens at a launch, where loops close: within one process nothing repeats unless the app asks.
private func countingSaves(from old: DeviceState, _ step: Step, _ event: Event, _ rules: Rules) -> Step {
    var (new, effects) = step
    if new.durable == old.durable { return (new, effects) }
    guard case .launched(_, _, let nowS) = event else {
        new.saves = new.atRest ? 0 : new.saves + 1
        return (new, effects)
    }
    new.saves += 1
    if new.saves > rules.maxSaves { (new, effects) = (breakLoop(new, nowS: nowS, rules), [.collect]) }
    return (new, effects)
}

/// Gives everything up but the embedded head, what was ever confirmed, and the queue of outcomes.
private func breakLoop(_ looping: DeviceState, nowS: Int, _ rules: Rules) -> DeviceState {
    var state = looping
    let suspects = [state.trial, state.staged].compactMap { $0 }
    state.note(.rolledBack, suspects.first ?? state.current, rules, detail: "loop")
    for suspect in suspects { state.quarantine(suspect.head, nowS: nowS, rules) }
    var clean = DeviceState(identity: state.identity, host: state.host, embedded: state.embedded)
    (clean.generations, clean.floors, clean.quarantine) = (state.generations, state.floors, state.quarantine)
    (clean.recalled, clean.directive, clean.clockFloorS) = (state.recalled, state.directive, state.clockFloorS)
    (clean.outcomes, clean.sequence) = (state.outcomes, state.sequence)
    return clean
}

private func step(_ state: DeviceState, _ event: Event, _ rules: Rules) -> Step {
    switch event {
    case .launched(let host, let embedded, let nowS):
        state.launched(host: host, embedded: embedded, nowS: nowS, rules)
    case .exiting: state.exiting(rules)
    case .checkStarted: state.checkStarted()
    case .checkEnded: state.checkEnded()
    case .channelSeen(let recalled, let directive, let nowS):
        state.channelSeen(recalled: recalled, directive: directive, nowS: nowS, rules)
    case .withdrawn(let head, let reason): state.withdrawn(head, reason: reason, rules)
    case .offered(let release, let nowS): state.offered(release, nowS: nowS)
    case .downloaded(let head): state.downloaded(head, rules)
    case .downloadFailed(let head, let reason, let reported):
        state.downloadFailed(head, reason: reason, reported: reported, rules)
    case .verified(let head): state.verified(head, rules)
    case .verifyFailed(let head, let reason, let nowS):
        state.verifyFailed(head, reason: reason, nowS: nowS, rules)
    case .predictAsked: state.predictAsked(rules)
    case .predicted(let head, _): state.predicted(head, rules)
    case .predictFailed(let head, let reason, let nowS):
        state.predictFailed(head, reason: reason, nowS: nowS, rules)
    case .slotBroken(let head, _): state.slotBroken(head, rules)
    case .healthPassed(let head, _): state.healthPassed(head, rules)
    case .healthFailed(let head, let reason, let nowS):
        state.healthFailed(head, reason: reason, nowS: nowS, rules)
    case .healthLater(let head): state.healthLater(head, rules)
    case .confirmAsked: state.confirmAsked(rules)
    case .rollBackAsked(let reason, let nowS): state.rollBackAsked(reason: reason, nowS: nowS, rules)
    case .settled: state.settled()
    case .trainingStarted(let nowS): state.trainingStarted(nowS: nowS, rules)
    case .trained(let candidate): state.trained(candidate)
    case .trainingFailed: state.trainingFailed(rules)
    case .generationAccepted(let head, let gain): state.generationAccepted(head, gain: gain, rules)
    case .generationRejected(let head, let gain): state.generationRejected(head, gain: gain, rules)
    case .generationDropped(let reason): state.generationDropped(reason: reason, rules)
    case .personalForgotten: state.personalForgotten()
    case .rebaseStarted(let nowS): state.rebaseStarted(nowS: nowS, rules)
    case .rebased(let on, let generation, let policy, let gain):
        state.rebased(on: on, generation: generation, policy: policy, gain: gain, rules)
    case .outcomesSent(let events): state.outcomesSent(events)
    }
}

extension DeviceState {
    /// Outcomes that the server took leave the queue.
    fileprivate func outcomesSent(_ events: Set<String>) -> Step {
        var new = self
        new.outcomes.removeAll { events.contains($0.event) }
        return (new, [])
    }
}
