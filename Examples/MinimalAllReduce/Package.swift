// swift-tools-version: 6.1
import PackageDescription

// What the package of a program that uses Tutti looks like.
let package = Package(
  name: "minimal-all-reduce",
  dependencies: [
    // Named, because a clone may lie in a folder of any name.
    .package(name: "tutti", path: "../..")
  ],
  targets: [
    .executableTarget(name: "MinimalAllReduce", dependencies: [.product(name: "Tutti", package: "tutti")])
  ],
  swiftLanguageModes: [.v6]
)
