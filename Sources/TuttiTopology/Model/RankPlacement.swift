// Which rank is on which host: the only thing that is kept for each rank.

/// Where a rank is.
package struct RankLocation: Sendable {
  package let region: Int
  /// Among all hosts.
  package let host: Int
  /// Its number among the ranks of its host.
  package let local: Int
  /// Its NUMA node, among those of its host.
  package let numa: Int
  package let socket: Int
  let run: HostRun

  /// The interfaces it uses, best first.
  var nics: [Int] { run.kind.affinity.isEmpty ? [] : run.kind.affinity[local] }
}

/// How ranks are numbered.
package struct RankPlacement: Sendable {
  package enum Order: Hashable, Sendable {
    /// All of one host, then all of the next.
    case inOrder
    /// One of each host, then again, until all hosts are full.
    case roundRobin
    /// By rank: the host.
    case listed([Int32])
  }

  package let order: Order
  /// By rank.
  package let hosts: [Int32]
  package let locals: [Int32]

  init(order: Order, runs: [HostRun]) {
    self.order = order
    var hosts: [Int32] = []
    var locals: [Int32] = []
    let capacity = runs.reduce(0) { $0 + $1.count * $1.kind.ranks }
    switch order {
    case .inOrder:
      hosts.reserveCapacity(capacity)
      locals.reserveCapacity(capacity)
      for run in runs {
        for host in run.hosts {
          for local in 0..<run.kind.ranks {
            hosts.append(Int32(host))
            locals.append(Int32(local))
          }
        }
      }
    case .roundRobin:
      hosts.reserveCapacity(capacity)
      locals.reserveCapacity(capacity)
      for round in 0..<(runs.map(\.kind.ranks).max() ?? 0) {
        for run in runs where run.kind.ranks > round {
          for host in run.hosts {
            hosts.append(Int32(host))
            locals.append(Int32(round))
          }
        }
      }
    case .listed(let listed):
      var next = [Int32](repeating: 0, count: runs.reduce(0) { $0 + $1.count })
      hosts = listed
      locals = listed.map { host in
        defer { next[Int(host)] += 1 }
        return next[Int(host)]
      }
    }
    self.hosts = hosts
    self.locals = locals
  }

  func hash(into hash: inout ContentHash) {
    hash.combine(hosts.count)
    for host in hosts { hash.combine(Int(host)) }
  }
}
