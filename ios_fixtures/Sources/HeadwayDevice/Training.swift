import HeadwayContract

/// Pure transitions of training on the device: personalise, judge, accept, rebase.
extension DeviceState {
    /// The reason code against personalising now, or nil. The one place that decides it.
    public func whyNoTraining(nowS: Int) -> String? {
        if directive != .allow { return "directive_\(directive.rawValue)" }
        if activity != .idle { return "busy" }
        if trial != nil || staged != nil { return "trial_open" }
        if rebaseDue != nil { return "rebase_due" }
        return trainingLeft == 0 && nowS < trainingAfterS ? "resting" : nil
    }

    /// The reason code against rebasing now, or nil.
    public func whyNoRebase(nowS: Int) -> String? {
        if rebaseDue == nil || personal == nil { return "nothing_to_rebase" }
        if directive != .allow { return "directive_\(directive.rawValue)" }
        if activity != .idle { return "busy" }
        return trial == nil ? nil : "trial_open"
    }

    /// Begins heavy work: the try is counted first, since training may run out of memory.
    private mutating func begin(_ work: Phase, _ rules: Rules) {
        activity = work
        generations += 1
        trainingLeft = (trainingLeft > 0 ? trainingLeft : rules.attempts) - 1
    }

    /// Begins to train from the head that runs.
    func trainingStarted(nowS: Int, _ rules: Rules) -> Step {
        guard whyNoTraining(nowS: nowS) == nil else { return (self, []) }
        var new = self
        new.begin(.personalising, rules)
        new.trainingAfterS = nowS + rules.trainingRestS
        return (new, [.train(start: running, number: new.generations)])
    }

    /// A candidate is written: judge it.
    func trained(_ candidate: Generation) -> Step {
        guard activity == .personalising else { return (self, []) }
        var new = self
        guard candidate.on == current.head, candidate.base == host.base else {
            new.activity = .idle
            return (new, [])
        }
        (new.activity, new.candidate) = (.judging, candidate)
        return (new, [.judgeCandidate(candidate)])
    }

    /// Training ended without a candidate, in good order: nothing changes, and the try does not count.
    func trainingFailed(_ rules: Rules) -> Step {
        guard activity.isTraining else { return (self, []) }
        var new = self
        (new.activity, new.candidate) = (.idle, nil)
        new.trainingLeft = min(trainingLeft + 1, rules.attempts)
        return (new, [])
    }

    /// The candidate becomes generation k; k−1 is kept.
    func generationAccepted(_ head: Digest, gain: Gain, _ rules: Rules) -> Step {
        guard activity == .judging, let candidate, candidate.head == head else { return (self, []) }
        var new = self
        (new.activity, new.candidate) = (.idle, nil)
        if candidate.on != current.head { return (new, []) }
        new.note(.personalised, current, rules, gain: gain)
        (new.personal, new.personalBefore) = (candidate, generation)
        new.trainingLeft = rules.attempts
        new.prunePersonal()
        return (new, [])
    }

    /// The candidate goes; generation k−1, which still runs, stays.
    func generationRejected(_ head: Digest, gain: Gain, _ rules: Rules) -> Step {
        guard activity == .judging, candidate?.head == head else { return (self, []) }
        var new = self
        new.note(.personalised, current, rules, gain: gain)
        (new.activity, new.candidate, new.trainingLeft) = (.idle, nil, rules.attempts)
        return (new, [])
    }

    /// The user's wish: no generation stays.
    func personalForgotten() -> Step { discardingPersonal(since: self) }

    /// Begins to carry the personal head over to the release that stands now.
    func rebaseStarted(nowS: Int, _ rules: Rules) -> Step {
        guard whyNoRebase(nowS: nowS) == nil, let personal, let policy = rebaseDue else { return (self, []) }
        var new = self
        new.begin(.rebasing, rules)
        return (new, [.rebase(personal: personal, release: current, policy: policy, number: new.generations)])
    }

    /// The best candidate stands on the new release; the old generation stays beside it for a late roll back.
    func rebased(on: Digest, generation: Generation?, policy: String, gain: Gain, _ rules: Rules) -> Step {
        guard activity == .rebasing else { return (self, []) }
        var new = self
        (new.activity, new.trainingLeft) = (.idle, rules.attempts)
        if on != current.head || generation.map({ $0.on != on }) == true { return (new, []) }
        new.note(.rebased, current, rules, detail: policy, gain: gain)
        new.rebaseDue = nil
        if let generation { (new.personal, new.personalBefore) = (generation, personal) }
        new.prunePersonal()
        return (new, [])
    }
}
