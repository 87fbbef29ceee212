import TuttiBootstrap
import TuttiTopology

/// The processors of this process, for tools that show them. What ranks do with them is in ``HostPlace``.
package struct ProcessorFacts: Sendable {
  /// The processors that the calling thread may run on, as `0-3,8`.
  package let list: String
  package let count: Int
  /// How many processors' worth of time the control group may use, such as 1.5; nil for all there is.
  package let quota: Double?
  /// NUMA nodes of the host, and the processors of each; empty where the kernel does not tell them.
  package let nodes: [(number: Int, processors: String)]

  package static func current() -> ProcessorFacts {
    let allowance = ProcessorAllowance.current()
    return ProcessorFacts(
      list: allowance.inherited.description, count: allowance.inherited.count, quota: allowance.quota?.exact,
      nodes: ProcessorTopology.readNodes().map { ($0.number, $0.processors.description) })
  }
}
