import HeadwayContract

/// What the machine orders its edge to do. ``save`` always comes first: state is saved before the effect it announces.
public enum Effect: Equatable, Sendable {
    /// Make the new state durable before anything else happens.
    case save
    /// Refresh trust and read the channel.
    case refresh
    /// Fetch the target's manifest and files into its folder.
    case download(HeldRelease)
    /// Check the target's exact file set, every digest, and the model.
    case verify(HeldRelease)
    /// Load this head for predictions: its pending mark is saved.
    case load(RunnableHead)
    /// Run the health judge over the tried head. `vouched`: the app has agreed already; else it is asked.
    case judge(HeldRelease, vouched: Bool)
    /// Unload this head and remove what no slot names, then say ``Event/settled``.
    case leave(head: Digest)
    /// Remove files that no slot names any more.
    case collect
    /// Train a candidate from this head.
    case train(start: RunnableHead, number: Int)
    /// Judge the candidate against the head that runs now.
    case judgeCandidate(Generation)
    /// Carry `personal` over to `release` by `policy`.
    case rebase(personal: Generation, release: HeldRelease, policy: RebasePolicy, number: Int)
    /// Stop training that is under way: its result is no longer wanted.
    case cancelTraining

    var removesFiles: Bool {
        switch self {
        case .leave, .collect: true
        default: false
        }
    }
}
