import TuttiBootstrap
import TuttiRDMA
import TuttiSystem
import TuttiTransport

/// A member's end of its RDMA links: the endpoint, the watch over it, and the rank's devices.
final class RDMAEnd: Sendable {
  let fabric: WatchedFabric
  let endpoint: RDMAEndpoint
  private let watch: DescriptorWatch

  /// - Parameter memory: What of this rank's memory its links use without copies.
  init(
    _ fabric: WatchedFabric, rank: Int, rankCount: Int, doorbell: Doorbell, memory: RegisteredMemory?
  ) throws(FailureReport) {
    self.fabric = fabric
    let endpoint = try RDMAEndpoint(
      fabric: fabric.fabric, rank: rank, rankCount: rankCount, doorbell: doorbell, registered: memory)
    self.endpoint = endpoint
    do throws(FailureReport) {
      watch = try DescriptorWatch(endpoint.descriptor) { [weak endpoint] in endpoint?.service() }
    } catch {
      endpoint.close()
      throw error
    }
  }

  /// To be called when its links are closed. Idempotent.
  func close() {
    watch.cancel()
    endpoint.close()
  }
}
