import HeadwayContract

/// Everything that can happen to a device's head. Times are seconds since 1970; a `reason` is a code.
public enum Event: Equatable, Sendable {
    /// The process has started: what is present now, whatever the record says.
    case launched(host: Host, embedded: HeldRelease, nowS: Int)
    /// The app ends on purpose: an open load is no crash.
    case exiting
    /// A poll begins.
    case checkStarted
    /// The poll is over without an offer to take.
    case checkEnded
    /// A verified channel document was read.
    case channelSeen(recalled: Set<Digest>, directive: PersonaliseDirective, nowS: Int)
    /// The channel no longer wants the staged head to be tried.
    case withdrawn(head: Digest, reason: String)
    /// `explain` chose a release that the device should hold.
    case offered(HeldRelease, nowS: Int)
    /// Every file of the target is on disk.
    case downloaded(head: Digest)
    /// The target could not be fetched; later, it may. `reported` asks for an outcome.
    case downloadFailed(head: Digest, reason: String, reported: Bool)
    /// The target is exactly its signed manifest and a model that may be loaded.
    case verified(head: Digest)
    /// The target's signed bytes cannot work here: never again, for a while.
    case verifyFailed(head: Digest, reason: String, nowS: Int)

    /// The app wants a prediction.
    case predictAsked(nowS: Int)
    /// The running head, loaded in this process, gave a good prediction.
    case predicted(head: Digest, nowS: Int)
    /// The running head loaded or predicted badly without ending the process (NaN, an error).
    case predictFailed(head: Digest, reason: String, nowS: Int)
    /// The files of a head are missing or not what their digest says.
    case slotBroken(head: Digest, nowS: Int)
    /// The judge on the device found the tried head good, and the app agreed.
    case healthPassed(head: Digest, nowS: Int)
    /// The judge found the tried head bad.
    case healthFailed(head: Digest, reason: String, nowS: Int)
    /// The app asks to judge again after more predictions.
    case healthLater(head: Digest)
    /// The app vouches for the head on trial.
    case confirmAsked
    /// The app orders off the running release, also late.
    case rollBackAsked(reason: String, nowS: Int)
    /// The head that was given up is unloaded and its files are gone.
    case settled

    /// Personalisation may begin: samples, power and disk are in order.
    case trainingStarted(nowS: Int)
    /// Training ended and its candidate is written.
    case trained(candidate: Generation)
    /// Training or its judging did not come to an end: cancelled, out of memory, disk full.
    case trainingFailed(reason: String)
    /// The candidate is better by the bound.
    case generationAccepted(head: Digest, gain: Gain)
    /// The candidate is not better, or forgets too much.
    case generationRejected(head: Digest, gain: Gain)
    /// Go back from generation k to k−1, or to the release.
    case generationDropped(reason: String)
    /// The user wants all personal generations gone.
    case personalForgotten
    /// Carrying the personal head over to the current release may begin.
    case rebaseStarted(nowS: Int)
    /// The best candidate was chosen: `generation` on the current release, or nil for the release itself.
    case rebased(on: Digest, generation: Generation?, policy: String, gain: Gain)

    /// The server took these outcomes, by their event keys.
    case outcomesSent(events: Set<String>)
}
