// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "two-hosts",
  dependencies: [
    // Named, because a clone may lie in a folder of any name.
    .package(name: "tutti", path: "../..")
  ],
  targets: [
    .executableTarget(name: "TwoHosts", dependencies: [.product(name: "Tutti", package: "tutti")])
  ],
  swiftLanguageModes: [.v6]
)
