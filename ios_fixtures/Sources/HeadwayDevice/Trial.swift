import HeadwayContract

/// Pure transitions of running a head: first prediction, trial, confirm, roll back.
extension DeviceState {
    /// Opens the trial of a staged head at its first prediction (rule 4); has the running head loaded.
    ///
    /// Every head but the embedded one carries the pending mark during its first load in a process: a system update can
    /// make the loader abort on a head that was good for months.
    func predictAsked(_ rules: Rules) -> Step {
        var new = self
        if trial == nil, let staged { (new.trial, new.staged, new.live) = (staged, nil, 0) }
        let running = new.running
        if loaded == running.head { return (new, []) }
        new.loaded = running.head
        if running != .release(embedded) {
            new.pending = running.head
            new.attempts = attempts.lowered(running.head, rules)
        }
        return (new, [.load(running)])
    }

    /// A good prediction clears the pending mark; enough of them in a trial call the judge, unless the app does.
    func predicted(_ head: Digest, _ rules: Rules) -> Step {
        guard head == running.head, loaded == head else { return (self, []) }
        var new = self
        new.pending = nil
        guard let trial else {
            new.attempts = nil
            return (new, [])
        }
        if pending != nil { new.attempts = attempts.givenBack(rules) }
        new.live = min(live + 1, rules.livePredictions)
        if new.live < rules.livePredictions || rules.explicitConfirm { return (new, []) }
        return new.judging(trial, vouched: false, rules)
    }

    /// The app vouches for the head on trial: judge it now. One that has not yet answered in this process is not.
    func confirmAsked(_ rules: Rules) -> Step {
        guard let trial, loaded == trial.head, pending == nil else { return (self, []) }
        return judging(trial, vouched: true, rules)
    }

    private func judging(_ trial: HeldRelease, vouched: Bool, _ rules: Rules) -> Step {
        var new = self
        // Judging runs the head over a whole batch: a crash in it counts like a crash in the first load.
        new.attempts = attempts.lowered(trial.head, rules)
        new.pending = trial.head
        return (new, [.judge(trial, vouched: vouched)])
    }

    /// A head on trial fails at once; one that was good before has its attempts.
    func predictFailed(_ head: Digest, reason: String, nowS: Int, _ rules: Rules) -> Step {
        guard head == running.head else { return (self, []) }
        if trial != nil { return failRelease(head, reason: reason, nowS: nowS, rules) }
        var new = self
        new.loaded = nil
        if running == .release(embedded) { return (new, []) }
        if pending != head { new.attempts = attempts.lowered(head, rules) }
        new.pending = nil
        if let left = new.attempts?.left, left > 0 { return (new, []) }
        return new.giveUpRunning(reason: reason, nowS: nowS, rules)
    }

    /// Leaves the running head for the one before it: generation k → k−1 → release → release before → embedded.
    func giveUpRunning(reason: String, nowS: Int, _ rules: Rules) -> Step {
        if trial == nil, generation != nil { return generationDropped(reason: reason, rules) }
        return failRelease(running.head, reason: reason, nowS: nowS, rules)
    }

    private func failRelease(_ head: Digest, reason: String, nowS: Int, _ rules: Rules) -> Step {
        guard let failed = trial ?? stable, failed.head == head else { return (self, []) }
        var new = self
        new.note(.rolledBack, failed, rules, detail: reason)
        new.quarantine(head, nowS: nowS, rules)
        new.remove([head])
        return new.leaving(self)
    }

    /// Goes from generation k to k−1, or to the release.
    func generationDropped(reason: String, _ rules: Rules) -> Step {
        guard let dropped = generation else { return (self, []) }
        var new = self
        new.note(.rolledBack, current, rules, detail: reason)
        new.prunePersonal([dropped.head])
        return new.leaving(self)
    }

    /// The files, not the release, are bad: let go without quarantine, so that it can be fetched again.
    func slotBroken(_ head: Digest, _ rules: Rules) -> Step {
        var new = self
        if head == running.head, running != .release(embedded) {
            new.note(.rolledBack, trial ?? current, rules, detail: "slot_broken")
        }
        new.remove([head])
        return new.leaving(self)
    }

    /// Confirms: the trial becomes `stable`, the stable before it is kept for a late roll back (rule 11).
    func healthPassed(_ head: Digest, _ rules: Rules) -> Step {
        guard let trial, trial.head == head else { return (self, []) }
        var new = self
        new.note(.confirmed, trial, rules)
        let isCarried = personal.map { $0.on != trial.head } ?? false
        new.stable = trial
        if let stable, stable.head != trial.head { new.previous = stable }
        new.trial = nil
        if let staged, staged.release <= trial.release { new.staged = nil }
        (new.live, new.pending, new.attempts) = (0, nil, nil)
        new.floors = raisedFloors(trial)
        new.rebaseDue = isCarried ? trial.rebase : nil
        new.trainingLeft = rules.attempts
        if isCarried, trial.rebase == .discard {
            (new.rebaseDue, new.personal, new.personalBefore) = (nil, nil, nil)
        }
        new.prunePersonal()
        return (new, [])
    }

    private func raisedFloors(_ confirmed: HeldRelease) -> [Floor] {
        if let floor, floor.release > confirmed.release, !recalled.contains(floor.head) { return floors }
        let raised = Floor(base: host.base, release: confirmed.release, head: confirmed.head)
        return (floors.filter { $0.base != host.base } + [raised]).suffix(8)
    }

    /// The judge said no: quarantine and go back.
    func healthFailed(_ head: Digest, reason: String, nowS: Int, _ rules: Rules) -> Step {
        guard trial?.head == head else { return (self, []) }
        return failRelease(head, reason: reason, nowS: nowS, rules)
    }

    /// Judge again after as many predictions more.
    func healthLater(_ head: Digest, _ rules: Rules) -> Step {
        guard trial?.head == head else { return (self, []) }
        var new = self
        (new.live, new.pending, new.attempts) = (0, nil, attempts.givenBack(rules))
        return (new, [])
    }

    /// The app orders off the release that runs, or the one its generation stands on.
    func rollBackAsked(reason: String, nowS: Int, _ rules: Rules) -> Step {
        guard let failed = trial ?? stable else { return (self, []) }
        return failRelease(failed.head, reason: reason, nowS: nowS, rules)
    }

    /// A clean exit is no crash: the pending mark goes, the try does not count.
    func exiting(_ rules: Rules) -> Step {
        var new = self
        if pending != nil { new.attempts = attempts.givenBack(rules) }
        (new.pending, new.loaded) = (nil, nil)
        return (new, [])
    }

    /// The head that was given up is gone.
    func settled() -> Step {
        var new = self
        new.leaving = nil
        return (new, [])
    }
}
