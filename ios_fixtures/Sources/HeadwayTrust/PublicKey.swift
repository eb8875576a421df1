import CVerify
import HeadwayContract

#if canImport(CryptoKit)
import CryptoKit
import Foundation
#endif

/// A key of TUF metadata. Our own repositories hold Ed25519 keys only; the other kinds serve foreign ones.
struct PublicKey: Hashable, Sendable {
    let type: String
    let scheme: String
    /// Hex for Ed25519, PEM for the others.
    let value: String

    init(_ fields: Fields) throws(HeadwayError) {
        type = try fields.text("keytype")
        scheme = try fields.text("scheme")
        value = try fields.nested("keyval").anyText("public")
    }

    /// Whether `signature` over `message` is good. A kind that is not known here verifies nothing.
    func verifies(_ signature: [UInt8], over message: [UInt8]) -> Bool {
        switch (type, scheme) {
        case ("ed25519", "ed25519"):
            guard let key = bytes(hex: value) else { return false }
            return verifyEd25519(key: key, signature: signature, message: message)
        case ("ecdsa", "ecdsa-sha2-nistp256"), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"):
            return verifyPEM(signature, over: message, digest: "SHA256", isPSS: false)
        case ("ecdsa", "ecdsa-sha2-nistp384"), ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"):
            return verifyPEM(signature, over: message, digest: "SHA384", isPSS: false)
        case ("rsa", "rsassa-pss-sha256"): return verifyPEM(signature, over: message, digest: "SHA256", isPSS: true)
        case ("rsa", "rsa-pkcs1v15-sha256"): return verifyPEM(signature, over: message, digest: "SHA256", isPSS: false)
        default: return false
        }
    }

    private func verifyEd25519(key: [UInt8], signature: [UInt8], message: [UInt8]) -> Bool {
        #if canImport(CryptoKit)
        guard let read = try? Curve25519.Signing.PublicKey(rawRepresentation: key) else { return false }
        return read.isValidSignature(signature, for: message)
        #else
        return headway_verify_ed25519(key, key.count, signature, signature.count, message, message.count) == 1
        #endif
    }

    private func verifyPEM(_ signature: [UInt8], over message: [UInt8], digest: String, isPSS: Bool) -> Bool {
        #if canImport(CryptoKit)
        guard scheme == "ecdsa-sha2-nistp256", let key = try? P256.Signing.PublicKey(pemRepresentation: value),
            let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature)
        else { return false }
        return key.isValidSignature(signature, for: message)
        #else
        return headway_verify_pem(
            value, value.utf8.count, digest, isPSS ? 1 : 0, signature, signature.count, message, message.count) == 1
        #endif
    }
}

/// The bytes of lower- or upper-case hex, or nil.
func bytes(hex: String) -> [UInt8]? {
    let digits = hex.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
    let values = digits.compactMap { $0 }
    return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
}

/// Whether signatures can be verified in this build: on Linux that needs libcrypto's headers at build time.
public var canVerifySignatures: Bool {
    #if canImport(CryptoKit)
    return true
    #else
    return headway_verify_ed25519([], 0, [], 0, [], 0) >= 0
    #endif
}
