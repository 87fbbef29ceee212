// swift-tools-version: 6.1
import PackageDescription

// What the package of a training program that uses Tutti looks like.
let package = Package(
  name: "data-parallel-trainer",
  dependencies: [
    // Named, because a clone may lie in a folder of any name.
    .package(name: "tutti", path: "../.."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    // Matrix products.
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

    // Digests.
    .systemLibrary(name: "CDigest", providers: [.apt(["libssl-dev"]), .yum(["openssl-devel"])]),
    .target(name: "Digests", dependencies: ["CDigest"]),

    // Targets that know nothing of other ranks.
    .target(name: "SeededRandom"),
    .target(name: "Models", dependencies: ["COpenBLAS", "SeededRandom"]),
    .target(name: "Datasets", dependencies: ["SeededRandom", "Digests"], resources: [.copy("Data")]),
    .target(name: "Charts"),
    .target(name: "Checkpoints", dependencies: ["Digests"]),

    // Training on many ranks.
    .executableTarget(
      name: "DataParallelTrainer",
      dependencies: [
        "Models", "Datasets", "Charts", "Checkpoints", "Digests",
        .product(name: "Tutti", package: "tutti"), .product(name: "TuttiTraining", package: "tutti"),
        .product(name: "TuttiLaunch", package: "tutti"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .testTarget(name: "DigestsTests", dependencies: ["Digests"]),
    .testTarget(name: "ModelsTests", dependencies: ["Models"]),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "SeededRandom"]),
    .testTarget(name: "ChartsTests", dependencies: ["Charts"]),
    .testTarget(name: "CheckpointsTests", dependencies: ["Checkpoints"]),
    .testTarget(name: "DataParallelTrainerTests", dependencies: ["DataParallelTrainer"]),
  ],
  swiftLanguageModes: [.v6]
)
