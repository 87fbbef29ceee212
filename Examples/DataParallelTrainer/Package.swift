// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "data-parallel-trainer",
  products: [.library(name: "Datasets", targets: ["Datasets"]), .library(name: "Charts", targets: ["Charts"])],
  dependencies: [.package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2")],
  targets: [
    .target(
      name: "Datasets", dependencies: [.product(name: "Crypto", package: "swift-crypto")], resources: [.copy("Data")]),
    .target(name: "Charts"),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets"]),
    .testTarget(name: "ChartsTests", dependencies: ["Charts"]),
  ],
  swiftLanguageModes: [.v6]
)
