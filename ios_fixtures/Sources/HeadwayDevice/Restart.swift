import HeadwayContract

/// The pure transition of a launch: one action per phase in which the last process ended (rule 10).
///
/// | found | action |
/// |---|---|
/// | idle, checking | nothing was under way on disk |
/// | downloading | forget the target; fetched parts stay for a resume |
/// | verifying | forget the target; its check was counted, none left means quarantine |
/// | staged, trial, confirmed, without pending mark | nothing: an exit or a kill is no crash |
/// | trial, pending | a crash: none of the attempts left means quarantine and roll back |
/// | confirmed or personal, pending | the same, counted only in a row |
/// | rolling back | finished: the slots were changed before, strays are removed |
/// | personalising, judging | the candidate goes; none of the tries left means a rest |
/// | rebasing | still due; none of the tries left means the release without it |
/// | unknown | the record's reader rolls back: what is on trial or staged goes |
extension DeviceState {
    /// Clears up after the last process and fits the record to what is present now.
    func launched(host present: Host, embedded: HeldRelease, nowS: Int, _ rules: Rules) -> Step {
        var new = self
        var crashed = pending
        if present.osBuild != host.osBuild {
            // Another system: what failed or crashed before may work, and the other way round.
            (new.attempts, new.checks, crashed) = (nil, nil, nil)
        }
        (new.host, new.embedded) = (present, embedded)
        (new.loaded, new.leaving, new.activity) = (nil, nil, .idle)
        new.end(activity, nowS: nowS, rules)
        new.keepOnlyPresentBase(rules)
        new.keepOnlyNewerThanEmbedded()
        new.saneQuarantine(nowS: nowS, rules)
        if let crashed, new.pending == crashed { new = new.countingCrash(nowS: nowS, rules) }
        (new.pending, new.leaving) = (nil, nil)
        return (new, [.collect])
    }

    private mutating func end(_ found: Phase, nowS: Int, _ rules: Rules) {
        let unfinished = target
        (target, candidate) = (nil, nil)
        if found == .verifying, let unfinished, checks?.left == 0 {
            note(.refused, unfinished, rules, detail: "verify_crashed")
            quarantine(unfinished.head, nowS: nowS, rules)
            checks = nil
        } else if found == .rebasing, trainingLeft == 0 {
            note(.rebased, current, rules, detail: "crashed", gain: Gain.none)
            (rebaseDue, trainingLeft) = (nil, rules.attempts)
            prunePersonal()
        }
    }

    /// Rule 2: an app update may have brought another base; what was proven on the old one cannot run.
    private mutating func keepOnlyPresentBase(_ rules: Rules) {
        let foreign = releases.filter { $0.base != host.base }
        let reported = [trial, stable, staged]
        for release in foreign where reported.contains(release) {
            note(.refused, release, rules, detail: "base_not_present")
        }
        let kept = Set(releases.filter { $0.base == host.base }.map(\.head))
        remove(Set(foreign.map(\.head)).subtracting(kept))
        func here(_ slot: HeldRelease?) -> HeldRelease? { slot.map(foreign.contains) == true ? nil : slot }
        (trial, stable, previous, staged) = (here(trial), here(stable), here(previous), here(staged))
        prunePersonal()
    }

    /// An app update may bring a newer head than the one delivered before.
    private mutating func keepOnlyNewerThanEmbedded() {
        let oldest = embedded.release
        let kept = [stable, previous].compactMap { $0 }.filter { $0.release > oldest }
        stable = kept.first
        previous = kept.dropFirst().first
        trial = trial.flatMap { $0.release > oldest ? $0 : nil }
        staged = staged.flatMap { $0.release > oldest ? $0 : nil }
        if trial == nil { live = 0 }
        prunePersonal()
    }

    /// Entries that are over go; one from a clock that was years ahead ends no later than a fresh one would.
    private mutating func saneQuarantine(nowS: Int, _ rules: Rules) {
        quarantine = quarantine.filter { $0.untilS > nowS }.map { entry in
            var entry = entry
            entry.untilS = min(entry.untilS, nowS + rules.quarantineS)
            return entry
        }
        trainingAfterS = min(trainingAfterS, nowS + rules.trainingRestS)
    }

    private func countingCrash(nowS: Int, _ rules: Rules) -> DeviceState {
        guard let attempts, attempts.head == running.head, attempts.left <= 0 else { return self }
        return giveUpRunning(reason: "crashed", nowS: nowS, rules).state
    }
}
