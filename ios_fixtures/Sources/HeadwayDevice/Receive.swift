import HeadwayContract

/// Pure transitions of receiving a release: check, channel, offer, download, verify, stage.
extension DeviceState {
    /// Begins a poll, unless something else is under way.
    func checkStarted() -> Step {
        guard activity == .idle else { return (self, []) }
        var new = self
        new.activity = .checking
        return (new, [.refresh])
    }

    /// Ends a poll that found nothing to take.
    func checkEnded() -> Step {
        var new = self
        if activity == .checking { new.activity = .idle }
        return (new, [])
    }

    /// Obeys recalls and the directive at once, and raises the clock floor.
    func channelSeen(
        recalled: Set<Digest>, directive: PersonaliseDirective, nowS: Int, _ rules: Rules
    ) -> Step {
        var new = self
        new.recalled = recalled.sorted { precedes($0.text, $1.text) }
        new.directive = directive
        new.clockFloorS = max(clockFloorS, nowS - nowS % rules.clockStepS)
        for (name, slot) in [("trial", trial), ("staged", staged), ("stable", stable), ("previous", previous)] {
            if let slot, recalled.contains(slot.head) { new.note(.recalled, slot, rules, detail: name) }
        }
        new.remove(recalled)
        guard directive == .discard else { return new.leaving(self) }
        return new.discardingPersonal(since: self)
    }

    /// Leaves every generation, and stops any training.
    func discardingPersonal(since old: DeviceState) -> Step {
        var new = self
        let cancelled = new.cancelTraining()
        new.dropPersonal()
        let (settled, effects) = new.leaving(old)
        return (settled, cancelled + effects)
    }

    /// Lets go of a staged head that nobody has tried.
    func withdrawn(_ head: Digest, reason: String, _ rules: Rules) -> Step {
        guard let staged, staged.head == head else { return (self, []) }
        var new = self
        new.note(.refused, staged, rules, detail: reason)
        new.staged = nil
        return (new, [])
    }

    /// Whether the machine lets a release in, whoever offers it (rules 2, 6, 7).
    public func accepts(_ release: HeldRelease, nowS: Int) -> Bool {
        let isAboveFloor = floor.map { release.release >= $0.release || recalled.contains($0.head) } ?? true
        return release.base == host.base
            && release.release > current.release
            && isAboveFloor
            && !recalled.contains(release.head)
            && !isQuarantined(release.head, nowS: nowS)
            && trial?.manifest != release.manifest
            && staged?.manifest != release.manifest
    }

    /// Takes an offer: it becomes the target, and is fetched.
    func offered(_ release: HeldRelease, nowS: Int) -> Step {
        guard activity == .checking else { return (self, []) }
        var new = self
        guard accepts(release, nowS: nowS) else {
            new.activity = .idle
            return (new, [])
        }
        (new.activity, new.target) = (.downloading, release)
        return (new, [.download(release)])
    }

    /// All files are there: verify. The try is counted first, since a hostile model may end the process.
    func downloaded(_ head: Digest, _ rules: Rules) -> Step {
        guard activity == .downloading, let target, target.head == head else { return (self, []) }
        var new = self
        (new.activity, new.checks) = (.verifying, checks.lowered(head, rules))
        return (new, [.verify(target)])
    }

    /// Forgets the target; what was fetched of it stays for a resume. Also while verifying: a disk may fail then too.
    func downloadFailed(_ head: Digest, reason: String, reported: Bool, _ rules: Rules) -> Step {
        guard activity == .downloading || activity == .verifying, let target, target.head == head else {
            return (self, [])
        }
        var new = self
        if reported { new.note(.refused, target, rules, detail: reason) }
        (new.activity, new.target) = (.idle, nil)
        return (new, [])
    }

    /// Stages the target. An open trial goes on; a staged head that nobody tried is replaced (rule 8).
    func verified(_ head: Digest, _ rules: Rules) -> Step {
        guard activity == .verifying, let target, target.head == head else { return (self, []) }
        var new = self
        new.note(.installed, target, rules)
        (new.activity, new.target, new.staged, new.checks) = (.idle, nil, target, nil)
        return (new, [])
    }

    /// The signed bytes cannot work here: report once, keep away for a while.
    func verifyFailed(_ head: Digest, reason: String, nowS: Int, _ rules: Rules) -> Step {
        guard activity == .verifying, let target, target.head == head else { return (self, []) }
        var new = self
        new.note(.refused, target, rules, detail: reason)
        new.quarantine(head, nowS: nowS, rules)
        (new.activity, new.target, new.checks) = (.idle, nil, nil)
        return (new, [])
    }
}
