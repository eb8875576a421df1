/// SHA-256 (FIPS 180-4): CryptoKit's on Apple platforms, a plain one elsewhere so that the package needs no other.

#if canImport(CryptoKit)
import CryptoKit

/// A running SHA-256.
struct SHA256State {
    private var state = CryptoKit.SHA256()

    mutating func update(_ data: some Sequence<UInt8>) {
        state.update(data: Array(data))
    }

    func finish() -> [UInt8] { Array(state.finalize()) }
}
#else
/// A running SHA-256. Holds at most one block of 64 bytes besides its eight words.
struct SHA256State {
    private var words: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var count: UInt64 = 0

    init() { pending.reserveCapacity(64) }

    mutating func update(_ data: some Sequence<UInt8>) {
        for byte in data {
            pending.append(byte)
            count &+= 1
            if pending.count == 64 { compress() }
        }
    }

    func finish() -> [UInt8] {
        var last = self
        let bits = count &* 8
        last.update([0x80])
        while last.pending.count != 56 { last.update([0]) }
        last.update((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) })
        return last.words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
    }

    private mutating func compress() {
        var schedule = [UInt32](repeating: 0, count: 64)
        for t in 0..<16 {
            schedule[t] = (0..<4).reduce(0) { $0 << 8 | UInt32(pending[4 * t + $1]) }
        }
        for t in 16..<64 {
            let (near, far) = (schedule[t - 2], schedule[t - 15])
            let small1 = near.rotated(17) ^ near.rotated(19) ^ (near >> 10)
            let small0 = far.rotated(7) ^ far.rotated(18) ^ (far >> 3)
            schedule[t] = small1 &+ schedule[t - 7] &+ small0 &+ schedule[t - 16]
        }
        var (a, b, c, d) = (words[0], words[1], words[2], words[3])
        var (e, f, g, h) = (words[4], words[5], words[6], words[7])
        for t in 0..<64 {
            let choose = (e & f) ^ (~e & g)
            let first = h &+ (e.rotated(6) ^ e.rotated(11) ^ e.rotated(25)) &+ choose &+ Self.constants[t] &+ schedule[t]
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let second = (a.rotated(2) ^ a.rotated(13) ^ a.rotated(22)) &+ majority
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { words[index] &+= value }
        pending.removeAll(keepingCapacity: true)
    }

    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}

extension UInt32 {
    fileprivate func rotated(_ bits: UInt32) -> UInt32 { self >> bits | self << (32 - bits) }
}
#endif
