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
    .target(name: "MeasuringPrograms", dependencies: [.product(name: "TuttiLaunch", package: "tutti")]),
    .executableTarget(
      name: "latency",
      dependencies: [
        "MeasuringPrograms", .product(name: "Tutti", package: "tutti"), .product(name: "TuttiLaunch", package: "tutti"),
      ]),
    .executableTarget(name: "own-program", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(
      name: "join-ranks",
      dependencies: [
        "MeasuringPrograms", .product(name: "Tutti", package: "tutti"), .product(name: "TuttiLaunch", package: "tutti"),
      ]),
    .executableTarget(name: "small-calls", dependencies: [.product(name: "Tutti", package: "tutti")]),
    .executableTarget(
      name: "point-to-point", dependencies: ["MeasuringPrograms", .product(name: "Tutti", package: "tutti")]),
    .executableTarget(name: "kernels", dependencies: ["MeasuringPrograms", .product(name: "Tutti", package: "tutti")]),
  ],
  swiftLanguageModes: [.v6]
)
