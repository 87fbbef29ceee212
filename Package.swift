// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "tutti",
  products: [
    // `import Tutti` is enough to communicate; the other two are for writing algorithms.
    .library(name: "Tutti", targets: ["Tutti", "TuttiAlgorithms", "TuttiSchedule"]),
    .library(name: "TuttiTraining", targets: ["TuttiTraining"]),
    .library(name: "TuttiTesting", targets: ["TuttiTesting"]),
    .library(name: "TuttiLaunch", targets: ["TuttiLaunch"]),
    // The C library; Scripts/install makes what C programs link with.
    .library(name: "tutti", type: .dynamic, targets: ["CTutti"]),
    .executable(name: "collbench", targets: ["collbench"]),
  ],
  traits: [
    .trait(
      name: "RDMA",
      description:
        "RDMA verbs. Needs the headers of libibverbs and librdmacm to build, and neither library nor device to run."),
    .default(enabledTraits: ["RDMA"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // Algorithms as data, and what reads them without executing them.
    .target(name: "TuttiSchedule"),
    .target(name: "TuttiAlgorithms", dependencies: ["TuttiSchedule"]),

    // Hosts and what is in them, as facts; networks of them, as descriptions.
    .target(name: "TuttiTopology"),
    // Descriptions in files. Apart, so that what asks for topologies needs no parser.
    .target(name: "TuttiTopologyFiles", dependencies: ["TuttiTopology", "CLibYAML"]),
    .systemLibrary(name: "CLibYAML", providers: [.apt(["libyaml-dev"]), .yum(["libyaml-devel"])]),

    // Which algorithm `auto` stands for, and why.
    .target(name: "TuttiChoice", dependencies: ["TuttiSchedule", "TuttiAlgorithms", "TuttiTopology"]),

    // What Swift cannot say: SIMD variants per CPU, system call shims.
    .target(name: "CTuttiKernels"),
    .target(name: "CTuttiLinux"),
    .target(name: "CTuttiVerbs", cSettings: [.define("TUTTI_RDMA", .when(traits: ["RDMA"]))]),
    // TLS by the system's libssl, which is opened at run time.
    .target(name: "CTuttiTLS", dependencies: ["CTuttiLinux"], linkerSettings: [.linkedLibrary("dl")]),
    // The launcher's PMIx by the system's libpmix, which is opened at run time.
    .target(name: "CTuttiPMIx", linkerSettings: [.linkedLibrary("dl")]),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"]), .yum(["openssl-devel"])]),

    // What the operating system gives.
    .target(name: "TuttiSystem", dependencies: ["TuttiTopology", "CTuttiLinux", "CTuttiTLS", "COpenSSL"]),

    // Moving bytes between two ranks.
    .target(name: "TuttiTransport", dependencies: ["TuttiSchedule", "TuttiSystem", "TuttiTopology", "CTuttiLinux"]),
    .target(name: "TuttiTCP", dependencies: ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiTLS"]),
    .target(name: "TuttiSharedMemory", dependencies: ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux"]),

    .target(
      name: "TuttiRDMA", dependencies: ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiVerbs"]),

    // Executing plans over links.
    .target(
      name: "TuttiEngine",
      dependencies: [
        "TuttiSchedule", "TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiKernels", "CTuttiLinux",
      ]),

    // Finding each other, trusting each other, failing together.
    .target(
      name: "TuttiBootstrap", dependencies: ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiPMIx"]),

    .target(
      name: "Tutti",
      dependencies: [
        "CTuttiKernels", "CTuttiLinux", "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiTopologyFiles",
        "TuttiChoice", "TuttiSystem", "TuttiTransport", "TuttiTCP", "TuttiSharedMemory", "TuttiRDMA", "TuttiEngine",
        "TuttiBootstrap",
        .product(name: "Logging", package: "swift-log"),
      ],
      // For `TuttiBuffer.span`, which says whose memory it is.
      swiftSettings: [.enableExperimentalFeature("Lifetimes")]
    ),
    // The API for C, over that of Swift; the compiler holds both to the header.
    .systemLibrary(name: "CTuttiHeader", path: "Sources/CTutti/include"),
    .target(
      name: "CTutti", dependencies: ["CTuttiHeader", "Tutti", "TuttiSchedule", "TuttiSystem"],
      exclude: ["include", "tutti.map"]),
    // Gradients of data-parallel training.
    .target(name: "TuttiTraining", dependencies: ["Tutti", "TuttiSystem", "CTuttiKernels"]),
    .target(
      name: "TuttiTesting",
      dependencies: ["Tutti", "TuttiAlgorithms", "TuttiSchedule", "TuttiTransport", "TuttiSystem"]),
    // Starting the ranks of a job, and seeing to their end.
    .target(name: "TuttiLaunch", dependencies: ["TuttiSystem", "TuttiTopology", "CTuttiLinux"]),
    .executableTarget(
      name: "collbench",
      dependencies: [
        "Tutti", "TuttiAlgorithms", "TuttiSchedule", "TuttiTopology", "TuttiChoice", "TuttiLaunch", "TuttiTransport",
        "TuttiSystem", "TuttiBootstrap", "CTuttiLinux", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]
    ),

    .target(name: "CTuttiAllocations", path: "Tests/CTuttiAllocations"),
    .target(name: "CTuttiFork", path: "Tests/CTuttiFork"),
    // A transport that the library does not know.
    .target(
      name: "FifthTransport", dependencies: ["TuttiTransport", "TuttiSystem", "TuttiTopology"], path: "Tests/FifthTransport"),
    // How long tests wait.
    .target(name: "Patience", dependencies: ["TuttiSystem"], path: "Tests/Patience"),
    // Whether a schema and what it is of agree.
    .target(name: "SchemaValidator", dependencies: ["TuttiTopology"], path: "Tests/SchemaValidator"),
    .testTarget(name: "TidyTests"),
    .testTarget(name: "TuttiKernelsTests", dependencies: ["CTuttiKernels", "TuttiSystem"]),
    .testTarget(name: "TuttiScheduleTests", dependencies: ["TuttiSchedule"]),
    .testTarget(name: "TuttiAlgorithmsTests", dependencies: ["TuttiAlgorithms", "TuttiSchedule", "TuttiSystem"]),
    // What a fuzzer gives the reader of topologies (Scripts/fuzz-topology), and what must hold then.
    .target(
      name: "FuzzTopology", dependencies: ["TuttiTopology", "TuttiTopologyFiles"], path: "Tests/FuzzTopology",
      exclude: ["topology.dict", "Corpus"]),
    .testTarget(
      name: "TuttiTopologyTests",
      dependencies: [
        "TuttiTopology", "TuttiTopologyFiles", "FuzzTopology", "TuttiSchedule", "TuttiSystem", "Patience",
        "SchemaValidator",
      ]),
    .testTarget(
      name: "TuttiChoiceTests",
      dependencies: [
        "TuttiChoice", "TuttiAlgorithms", "TuttiSchedule", "TuttiTopology", "TuttiTopologyFiles", "TuttiSystem",
        "SchemaValidator",
      ]),
    .testTarget(name: "TuttiSystemTests", dependencies: ["TuttiSystem", "TuttiTopology", "CTuttiLinux"]),
    .testTarget(
      name: "TuttiTransportTests",
      dependencies: [
        "TuttiTransport", "TuttiTCP", "TuttiSharedMemory", "TuttiRDMA", "FifthTransport", "TuttiSystem", "TuttiTopology",
        "CTuttiLinux", "CTuttiTLS", "CTuttiAllocations", "CTuttiFork", "Patience",
      ]),
    .testTarget(
      name: "TuttiRDMATests", dependencies: ["TuttiRDMA", "TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiVerbs"]),
    .testTarget(
      name: "TuttiBootstrapTests",
      dependencies: [
        "TuttiBootstrap", "TuttiLaunch", "TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiFork",
        "CTuttiAllocations", "Patience",
      ]),
    .testTarget(
      name: "TuttiEngineTests",
      dependencies: [
        "TuttiEngine", "TuttiAlgorithms", "TuttiSchedule", "TuttiTransport", "TuttiSystem", "CTuttiKernels", "Patience",
      ]),
    .testTarget(
      name: "TuttiTests",
      dependencies: [
        "Tutti", "TuttiTesting", "TuttiEngine", "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiChoice",
        "TuttiSystem", "TuttiTransport", "TuttiBootstrap", "TuttiRDMA", "FifthTransport", "CTuttiLinux", "CTuttiAllocations",
        "CTuttiFork", "Patience",
      ],
      exclude: ["Planning/AlgorithmChoices.txt"]),
    .testTarget(
      name: "TuttiTrainingTests",
      dependencies: ["TuttiTraining", "TuttiTesting", "Tutti", "TuttiSystem", "CTuttiLinux"]),
    .testTarget(
      name: "TuttiTestingTests",
      dependencies: ["TuttiTesting", "Tutti", "TuttiAlgorithms", "TuttiSchedule", "TuttiSystem", "Patience"]),
    .testTarget(name: "TuttiLaunchTests", dependencies: ["TuttiLaunch", "TuttiSystem", "CTuttiLinux", "Patience"]),
    // A rank that tests kill, stop, and have fork.
    .executableTarget(
      name: "faultrank", dependencies: ["Tutti", "TuttiLaunch", "CTuttiLinux", "CTuttiFork"], path: "Tests/FaultRank"),
    // A rank that makes random operations, where threads of one process are not enough.
    .executableTarget(name: "randomranks", dependencies: ["Tutti", "TuttiTesting"], path: "Tests/RandomRanks"),
    // Runs a program without some of its system calls.
    .executableTarget(name: "faultsandbox", path: "Tests/FaultSandbox"),
    .testTarget(
      name: "CollbenchTests",
      dependencies: ["collbench", "faultrank", "faultsandbox", "TuttiLaunch", "TuttiSystem", "CTuttiLinux", "Patience"]),
  ],
  swiftLanguageModes: [.v6]
)
