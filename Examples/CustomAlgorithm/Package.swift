// swift-tools-version: 6.1
import PackageDescription

// The package of a program that brings an algorithm of its own.
let package = Package(
  name: "custom-algorithm",
  dependencies: [
    // Named, because a clone may lie in a folder of any name.
    .package(name: "tutti", path: "../..")
  ],
  targets: [
    .target(name: "MixedRadix", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(
      name: "CustomAlgorithm", dependencies: ["MixedRadix", .product(name: "TuttiTesting", package: "tutti")]),
    .testTarget(
      name: "MixedRadixTests", dependencies: ["MixedRadix", .product(name: "TuttiTesting", package: "tutti")]),
  ],
  swiftLanguageModes: [.v6]
)
