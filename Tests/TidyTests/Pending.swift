/// Places that do not keep a rule yet. Nothing is added here: an entry goes when its place is mended.
enum Pending {
  private static let colleagues = [
    "Sources/TuttiEngine/", "Sources/TuttiTopology/", "Tests/TuttiEngineTests/", "Tests/TuttiTopologyTests/",
    "Tests/TuttiKernelsTests/",
  ]
  /// Paths begin so.
  static let functions: [String] = []
  static let comments = colleagues
  static let descriptors: [String] = []
  static let declarations = colleagues
  static let summaries = colleagues
  /// Whole folders and files.
  static let folders: Set = ["Sources/TuttiEngine"]
  static let flags: Set<String> = []
}
