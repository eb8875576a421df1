import Foundation

/// The project's own normaliser, and the splitting of text into the words that WordPiece is applied to.
///
/// The Python twin is `headway.contract.tokenizer`. Both need Unicode's general categories, canonical decomposition and
/// one-character lower-case mappings, nothing else. Everything works scalar by scalar: `Character` would join what
/// Python keeps apart.
public enum Normaliser {
    /// Changes whenever the result for any text would.
    public static let version = "headway-normaliser-1"

    private static let plain: [Unicode.Scalar: Unicode.Scalar] = [
        "“": "\"", "”": "\"", "‘": "'", "’": "'", "`": "'", "´": "'", "—": "-", "―": "-", "–": "-", "…": ".",
    ]

    private static let ideographs: [ClosedRange<UInt32>] = [
        0x3400...0x4dbf, 0x4e00...0x9fff, 0xf900...0xfaff, 0x2_0000...0x2_a6df, 0x2_a700...0x2_b73f,
        0x2_b740...0x2_b81f, 0x2_b920...0x2_ceaf, 0x2_f800...0x2_fa1f,
    ]

    /// `text` lower-cased, with typographic quotes, dashes and ellipses made plain; the number of scalars is kept.
    public static func normalise(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        result.append(contentsOf: text.unicodeScalars.map(normalised))
        return String(result)
    }

    /// The words of `text`: ideographs and punctuation alone, other runs between spaces.
    public static func words(_ text: String) -> [[Unicode.Scalar]] {
        var words: [[Unicode.Scalar]] = []
        var word: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars.flatMap({ pieces(of: normalised($0)) }) {
            if scalar != " " {
                word.append(scalar)
            } else if !word.isEmpty {
                words.append(word)
                word = []
            }
        }
        return word.isEmpty ? words : words + [word]
    }

    /// A lower-case form of several scalars (only "İ" has one) would move offsets: such a scalar stays.
    static func normalised(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        if let mapped = plain[scalar] { return mapped }
        let lower = scalar.properties.lowercaseMapping.unicodeScalars
        return lower.count == 1 ? lower[lower.startIndex] : scalar
    }

    /// What one normalised scalar adds to the text that is then split at spaces.
    private static func pieces(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        if scalar.isASCII, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) { return [scalar] }
        if scalar == "\t" || scalar == "\n" || scalar == "\r" { return [" "] }
        switch scalar.properties.generalCategory {
        case .control, .format, .privateUse, .surrogate: return []
        case .spaceSeparator, .lineSeparator, .paragraphSeparator: return [" "]
        default: break
        }
        if scalar.value == 0xfffd { return [] }
        let decomposed = String(Character(scalar)).decomposedStringWithCanonicalMapping.unicodeScalars
        if ideographs.contains(where: { $0.contains(scalar.value) }) { return [" "] + decomposed + [" "] }
        return decomposed.filter { $0.properties.generalCategory != .nonspacingMark }.flatMap { kept in
            isPunctuation(kept) ? [" ", kept, " "] : Array(kept.properties.lowercaseMapping.unicodeScalars)
        }
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 33...47, 58...64, 91...96, 123...126: return true
        default: break
        }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return true
        default:
            return false
        }
    }
}
