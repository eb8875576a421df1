import HeadwayContract

/// When to poll and when heavy work is welcome: pure functions of numbers given to them.
///
/// Devices must not all come at once after an outage or a release, so every wait has jitter; and a server that asks for
/// quiet gets it, for a day at most. A `chance` is uniform in [0, 1).

private let dayS = 86_400

/// Seconds. `intervalS` holds until a channel document says otherwise.
public struct PollPolicy: Equatable, Sendable {
    public var intervalS = 6 * 3600
    public var retryS = 60
    public var maxWaitS = dayS

    public init() {}
}

/// When the next poll is due (seconds since 1970), at which interval, after how many failures in a row.
public struct Schedule: Equatable, Sendable {
    public var nextS: Int
    public var intervalS: Int
    public var failures = 0

    public init(nextS: Int, intervalS: Int, failures: Int = 0) {
        (self.nextS, self.intervalS, self.failures) = (nextS, intervalS, failures)
    }

    /// A new install polls at 0.1 to 0.9 of the interval.
    public static func first(_ policy: PollPolicy, nowS: Int, chance: Double) -> Schedule {
        let wait = Double(policy.intervalS) * (0.1 + 0.8 * chance)
        return Schedule(nextS: nowS + Int(wait), intervalS: policy.intervalS)
    }

    /// The next poll: one interval on, give or take a tenth.
    public static func afterSuccess(_ policy: PollPolicy, pollAfterS: Int?, nowS: Int, chance: Double) -> Schedule {
        let interval = min(pollAfterS ?? policy.intervalS, 30 * dayS)
        return Schedule(nextS: nowS + Int(Double(interval) * (0.9 + 0.2 * chance)), intervalS: interval)
    }

    /// Exponential backoff with jitter over its upper half; at least what the server asked for, within a day.
    public func afterFailure(_ policy: PollPolicy, nowS: Int, retryAfterS: Int?, chance: Double) -> Schedule {
        let doubled = policy.retryS << min(failures, 20)
        let wait = Double(min(doubled, policy.maxWaitS)) * (0.5 + 0.5 * chance)
        let asked = Double(min(retryAfterS ?? 0, dayS))
        return Schedule(nextS: nowS + Int(max(wait, asked)), intervalS: intervalS, failures: failures + 1)
    }

    /// Whether to poll now. A wait longer than any real one means that the clock was wrong: poll.
    public func isDue(nowS: Int) -> Bool {
        nowS >= nextS || nextS - nowS > max(intervalS * 2, dayS)
    }
}

/// What the phone is doing now. `thermal` is Apple's scale: 0 nominal, 1 fair, 2 serious, 3 critical.
public struct Conditions: Equatable, Sendable {
    public var idle = true
    public var charging = true
    public var thermal = 0

    public init() {}
}

/// When to train. `minSamples` counts corrections; `thermal` is the warmest state in which to begin.
public struct HeavyWorkPolicy: Equatable, Sendable {
    public var minSamples = 50
    public var needsIdle = true
    public var needsCharging = true
    public var thermal = 1
    public var minFreeBytes = 20 << 20

    public init() {}

    /// The first reason code against training now, or nil.
    public func whyNotTrain(_ conditions: Conditions, samples: Int, freeBytes: Int) -> String? {
        samples < minSamples ? "too_few_samples" : whyNotWork(conditions, freeBytes: freeBytes)
    }

    /// The first reason code against any heavy work now, or nil.
    public func whyNotWork(_ conditions: Conditions, freeBytes: Int) -> String? {
        if needsIdle, !conditions.idle { return "not_idle" }
        if needsCharging, !conditions.charging { return "not_charging" }
        if conditions.thermal > thermal { return "too_warm" }
        return freeBytes < minFreeBytes ? "disk_low" : nil
    }
}
