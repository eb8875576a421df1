// swift-tools-version: 6.0
// The reference client of Headway. No outside package: it builds on Apple platforms and on Linux as it stands.
import PackageDescription

let package = Package(
    name: "Headway",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "HeadwayContract", targets: ["HeadwayContract"]),
        .library(name: "HeadwayDevice", targets: ["HeadwayDevice"]),
    ],
    targets: [
        .target(name: "HeadwayContract"),
        .target(name: "HeadwayDevice", dependencies: ["HeadwayContract"]),
        .testTarget(name: "HeadwayContractTests", dependencies: ["HeadwayContract"]),
    ]
)
