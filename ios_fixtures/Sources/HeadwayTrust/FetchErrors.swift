import HeadwayContract

/// The errors that every fetcher raises alike.

func badURL(_ url: String, _ wanted: String) -> HeadwayError {
    HeadwayError(
        .refused(.invalid), code: "bad_url", message: "'\(url)' is no web address that can be used here.",
        hint: "Give an address that \(wanted)."
    )
}

func tooLarge(_ maxBytes: Int) -> HeadwayError {
    untrusted("too_large", "The answer is longer than the \(maxBytes) bytes it may have.")
}

func unreachable(_ message: String) -> HeadwayError {
    HeadwayError(.transfer(retryAfterS: nil), code: "unreachable", message: message, hint: "Try again later.")
}
