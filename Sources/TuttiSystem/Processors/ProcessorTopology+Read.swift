import Glibc
import TuttiTopology

// Reads which processors and memory belong together.

extension ProcessorTopology {
  /// Reads what the kernel says about these processors.
  ///
  /// - Parameter root: The folder that stands for `/sys/devices/system`; tests make one.
  package static func read(root: String = systemRoot, of processors: ProcessorSet) -> ProcessorTopology {
    ProcessorTopology(nodes: readNodes(root: root), cores: readCores(root: root, of: processors))
  }

  package static let systemRoot = "/sys/devices/system"

  /// Reads the nodes alone, without looking at every processor.
  package static func readNodes(root: String = systemRoot) -> [Node] {
    let withMemory = list(root + "/node/has_memory")
    return (list(root + "/node/online") ?? ProcessorSet([])).numbers.compactMap { number in
      guard let processors = list("\(root)/node/node\(number)/cpulist") else { return nil }
      return Node(number: number, processors: processors, hasMemory: withMemory?.contains(number) ?? true)
    }
  }

  /// Processors of one core within `processors`; one that the kernel says nothing about is a core of its own.
  private static func readCores(root: String, of processors: ProcessorSet) -> [ProcessorSet] {
    var rest = processors
    var cores: [ProcessorSet] = []
    for number in processors.numbers where rest.contains(number) {
      let own = ProcessorSet([number])
      let siblings = list("\(root)/cpu/cpu\(number)/topology/thread_siblings_list") ?? own
      cores.append(siblings.union(own).intersection(rest))
      rest = rest.subtracting(siblings.union(own))
    }
    return cores
  }

  private static func list(_ path: String) -> ProcessorSet? {
    readSmallFile(path).flatMap { ProcessorSet(list: $0.prefix { !$0.isNewline }) }
  }
}
