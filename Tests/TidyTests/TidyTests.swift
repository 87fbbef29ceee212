import Testing

/// Which module may import which. The rules of the house that a compiler does not check are in this folder, by subject; a
/// rule that has to change is changed here, with the reason in its commit.
@Suite struct TidyTests {
  /// DESIGN: one way, top imports bottom. Modules of Sources, and what each may import of them and of packages.
  static let imports: [String: Set<String>] = [
    "TuttiSchedule": [],
    "TuttiAlgorithms": ["TuttiSchedule"],
    "TuttiTopology": [],
    // The one module with the YAML parser.
    "TuttiTopologyFiles": ["TuttiTopology", "CLibYAML"],
    "TuttiChoice": ["TuttiSchedule", "TuttiAlgorithms", "TuttiTopology"],
    "TuttiSystem": ["TuttiTopology", "CTuttiLinux", "CTuttiTLS", "COpenSSL"],
    "TuttiTransport": ["TuttiSchedule", "TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "TuttiTCP": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiTLS"],
    "TuttiSharedMemory": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "TuttiRDMA": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiVerbs"],
    // Never an algorithm or a transport: it knows plans and links.
    "TuttiEngine": ["TuttiSchedule", "TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiKernels", "CTuttiLinux"],
    "TuttiBootstrap": ["TuttiTransport", "TuttiSystem", "TuttiTopology", "CTuttiLinux", "CTuttiPMIx"],
    "Tutti": [
      "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiTopologyFiles", "TuttiChoice", "TuttiSystem",
      "TuttiTransport", "TuttiTCP",
      "TuttiSharedMemory", "TuttiRDMA", "TuttiEngine", "TuttiBootstrap", "CTuttiLinux", "CTuttiKernels", "Logging",
    ],
    "CTutti": ["CTuttiHeader", "Tutti", "TuttiSchedule", "TuttiSystem"],
    "TuttiTraining": ["Tutti", "TuttiSystem", "CTuttiKernels"],
    // For users' tests, which have Foundation; it gives it threads with a small stack.
    "TuttiTesting": ["Tutti", "TuttiSchedule", "TuttiAlgorithms", "TuttiSystem", "TuttiTransport", "Foundation"],
    "TuttiLaunch": ["TuttiSystem", "TuttiTopology", "CTuttiLinux"],
    "collbench": [
      "Tutti", "TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiChoice", "TuttiLaunch", "TuttiTransport",
      "TuttiSystem", "TuttiBootstrap", "CTuttiLinux", "ArgumentParser",
    ],
  ]

  /// The C library and atomics, which every module but the pure ones may import. Foundation is for none of them.
  static let system: Set = ["Glibc", "Synchronization"]
  static let pure: Set = ["TuttiSchedule", "TuttiAlgorithms", "TuttiTopology", "TuttiTopologyFiles", "TuttiChoice"]

  @Test func repositoryIsFound() {
    #expect(Repository.swiftSources.count > 20)
    #expect(!Repository.documents.isEmpty)
    #expect(!Repository.scripts.isEmpty)
  }

  @Test func importsGoOneWay() throws {
    let pattern =
      /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |private )?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/
    var complaints: [String] = []
    var unused = Self.imports
    for file in Repository.swiftSources {
      guard let allowed = Self.imports[file.module] else {
        complaints.append("\(file.path): module \(file.module) is missing from the table of TidyTests.imports")
        continue
      }
      for index in file.lines.indices where file.lines[index].contains("import ") {
        guard let match = file.code(index).firstMatch(of: pattern) else { continue }
        let name = String(match.1)
        unused[file.module]?.remove(name)
        if allowed.contains(name) || (Self.system.contains(name) && !Self.pure.contains(file.module)) { continue }
        complaints.append(file.complaint(index, "\(file.module) may not import \(name)"))
      }
    }
    for (module, names) in unused {
      complaints += names.map { "\(module) may import \($0), and does not: take that out of here and of Package.swift" }
    }
    expectNone(complaints)
  }
}
