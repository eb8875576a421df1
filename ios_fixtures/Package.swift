// swift-tools-version: 6.0
// The reference client of Headway. No outside package: it builds on Apple platforms and on Linux as it stands.
import Foundation
import PackageDescription

// Linux has no CryptoKit: signatures are verified by OpenSSL's libcrypto, where its headers (libssl-dev) are installed.
// Without them everything still builds, and the trusted client says that it cannot verify.
let hasLibcrypto = FileManager.default.fileExists(atPath: "/usr/include/openssl/evp.h")
let verifySettings: ([CSetting], [LinkerSetting]) =
    hasLibcrypto
    ? (
        [.define("HEADWAY_LIBCRYPTO", .when(platforms: [.linux]))],
        [.linkedLibrary("crypto", .when(platforms: [.linux]))]
    )
    : ([], [])

let package = Package(
    name: "Headway",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "HeadwayContract", targets: ["HeadwayContract"]),
        .library(name: "HeadwayDevice", targets: ["HeadwayDevice"]),
        .library(name: "HeadwayTrust", targets: ["HeadwayTrust"]),
        .library(name: "HeadwayCoreML", targets: ["HeadwayCoreML"]),
        .executable(name: "headway-tuf", targets: ["headway-tuf"]),
    ],
    targets: [
        .target(name: "HeadwayContract"),
        .target(name: "HeadwayDevice", dependencies: ["HeadwayContract"]),
        .target(name: "CVerify", cSettings: verifySettings.0, linkerSettings: verifySettings.1),
        .target(name: "HeadwayTrust", dependencies: ["HeadwayContract", "CVerify"]),
        .target(name: "HeadwayCoreML", dependencies: ["HeadwayContract", "HeadwayDevice"]),
        .executableTarget(name: "headway-tuf", dependencies: ["HeadwayContract", "HeadwayTrust"]),
        .testTarget(name: "HeadwayContractTests", dependencies: ["HeadwayContract"]),
        .testTarget(name: "HeadwayDeviceTests", dependencies: ["HeadwayDevice"]),
        .testTarget(name: "HeadwayTrustTests", dependencies: ["HeadwayTrust"]),
    ]
)
