import HeadwayContract

/// Edits of a state's slots that several transitions share: report, quarantine, give up heads.

/// A transition's result: the new state and what to do. ``Effect/save`` is added by `advance`, never here.
typealias Step = (state: DeviceState, effects: [Effect])

extension DeviceState {
    /// Queues an outcome about `release`; past `maxOutcomes` the oldest goes.
    ///
    /// A personal head is always reported under its release: its own digest would single out a person. The event key is
    /// a keyed hash of a counter: to anyone without the install id it looks random, so two events cannot be tied.
    mutating func note(
        _ kind: Outcome.Kind, _ release: HeldRelease, _ rules: Rules, detail: String? = nil, gain: Gain? = nil
    ) {
        let key = digestOf("\(identity.installID)\0\(identity.name)\0\(sequence)".utf8).hex.prefix(32)
        outcomes.append(
            Outcome(
                event: String(key), kind: kind, channel: identity.channel, base: release.base, name: identity.name,
                release: release.release, head: release.head, detail: detail, gain: gain
            )
        )
        outcomes = outcomes.suffix(rules.maxOutcomes)
        sequence += 1
    }

    /// Keeps away from `head` here for a while (rule 6).
    mutating func quarantine(_ head: Digest, nowS: Int, _ rules: Rules) {
        quarantine.removeAll { $0.head == head && $0.base == host.base }
        quarantine.append(
            Quarantine(head: head, base: host.base, osBuild: host.osBuild, untilS: nowS + rules.quarantineS)
        )
        quarantine = quarantine.suffix(64)
    }

    /// Takes `heads` out of every slot, with the generations that grew on them; `previous` moves up.
    ///
    /// The embedded head stays whatever it is: there is always a head to run (rule 1).
    mutating func remove(_ heads: Set<Digest>) {
        func kept(_ slot: HeldRelease?) -> HeldRelease? { slot.map { heads.contains($0.head) } == true ? nil : slot }

        (stable, previous) = (kept(stable), kept(previous))
        if stable == nil { (stable, previous) = (previous, nil) }
        (trial, staged, target) = (kept(trial), kept(staged), kept(target))
        if trial == nil { live = 0 }
        if activity == .downloading || activity == .verifying, target == nil { activity = .idle }
        if let head = pending, heads.contains(head) { pending = nil }
        if let head = attempts?.head, heads.contains(head) { attempts = nil }
        prunePersonal(heads)
    }

    /// Drops generations that can never run again: of another base, grown on `heads`, or on a release that is gone.
    ///
    /// A generation on a release that is gone stays while its rebase is due: it is what will be carried over.
    mutating func prunePersonal(_ heads: Set<Digest> = []) {
        let standing = Set([embedded, stable, previous].compactMap { $0?.head })
        func kept(_ generation: Generation?) -> Generation? {
            guard let generation, generation.base == host.base,
                heads.isDisjoint(with: [generation.head, generation.on, generation.derivedFrom])
            else { return nil }
            return standing.contains(generation.on) || rebaseDue != nil ? generation : nil
        }

        (personal, personalBefore, candidate) = (kept(personal), kept(personalBefore), kept(candidate))
        if personal == nil { (personal, personalBefore) = (personalBefore, nil) }
        let held = Set([embedded.head] + releases.map(\.head) + personalHeads.map(\.head))
        if let head = pending, !held.contains(head) { pending = nil }
        if personal == nil { rebaseDue = nil }
    }

    /// Finishes a roll back: if the running head changed since `old`, that one is unloaded and its files removed.
    func leaving(_ old: DeviceState) -> Step {
        let gone = old.running.head
        if running.head == gone { return (self, []) }
        var new = self
        (new.leaving, new.loaded) = (gone, nil)
        if pending == gone { new.pending = nil }
        return (new, [.leave(head: gone)])
    }

    /// Stops any training that is under way; its result is no longer wanted.
    mutating func cancelTraining() -> [Effect] {
        guard activity.isTraining else { return [] }
        activity = .idle
        return [.cancelTraining]
    }

    /// Drops every generation and what would make another.
    mutating func dropPersonal() {
        (personal, personalBefore, candidate, rebaseDue) = (nil, nil, nil, nil)
        prunePersonal()
    }
}

extension Attempts? {
    /// One try of `head` fewer: to be saved before the try is made.
    func lowered(_ head: Digest, _ rules: Rules) -> Attempts {
        let left = self?.head == head ? self?.left ?? rules.attempts : rules.attempts
        return Attempts(head: head, left: max(left - 1, 0))
    }

    /// The try that ended without a crash does not count.
    func givenBack(_ rules: Rules) -> Attempts? {
        map { Attempts(head: $0.head, left: min($0.left + 1, rules.attempts)) }
    }
}
