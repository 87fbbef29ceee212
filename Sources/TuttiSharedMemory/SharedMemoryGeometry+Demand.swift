import TuttiSystem
import TuttiTransport

// What regions of this layout take of a process, so that too small a limit is refused before anything is taken.

extension SharedMemoryGeometry {
  /// How much of a region its owner touches when the collectives use all lanes towards all peers. The lane of send and
  /// receive is left out: few use it, and with few peers.
  var touchedBytesMax: Int {
    Self.headerBytes + (rankCount - 1) * (Self.ringBytes + Lane.pointToPoint * Lane.credit * windowBytes)
  }

  /// What the links of one rank to all others of the host will take of its process.
  ///
  /// - Parameters:
  ///   - processes: How many other processes are on the host; each of them is watched.
  ///   - ranksTouching: How many ranks of the host, this one included, are under the same memory limit.
  package func demand(processes: Int, ranksTouching: Int) -> ResourceDemand {
    var demand = ResourceDemand(sharing: regionBytes, peerBytes: (rankCount - 1) * regionBytes)
    demand.touchedBytes = touchedBytesMax
    demand.ranksTouching = ranksTouching
    // The region, its doorbell and the registered memory; a doorbell and the registered memory of each peer; two sockets and
    // a region while links are opened; a timer, the departure board and the progress thread's; the processes.
    demand.descriptors = 3 + 2 * (rankCount - 1) + 8 + processes
    return demand
  }
}
