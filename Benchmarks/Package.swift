// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that the library takes on nothing that only its measurements need.
let package = Package(
  name: "tutti-benchmarks",
  dependencies: [
    // Named, because a clone may lie in a folder of any name.
    .package(name: "tutti", path: "..")
  ],
  targets: [
    .executableTarget(name: "latency", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(name: "own-program", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(name: "point-to-point", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(name: "kernels", dependencies: [.product(name: "Tutti", package: "tutti")]),
  ],
  swiftLanguageModes: [.v6]
)
