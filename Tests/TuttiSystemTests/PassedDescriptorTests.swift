import CTuttiLinux
import Glibc
import Testing
import TuttiSystem

/// Descriptors that arrive over a socket have one owner, and memory behind them is what was agreed.
@Suite(.serialized) struct PassedDescriptorTests {
  /// Two ends of a Unix socket that do not block.
  private static func sockets() throws -> (near: PassedDescriptor, far: PassedDescriptor) {
    var pair: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    try #require(socketpair(AF_UNIX, kind, 0, &pair) == 0)
    return (PassedDescriptor(OwnedDescriptor(pair[0])), PassedDescriptor(OwnedDescriptor(pair[1])))
  }

  private static func receive(_ socket: PassedDescriptor) -> (
    bytes: Int, descriptors: [PassedDescriptor], systemError: Int32
  ) {
    var bytes: (UInt8, UInt8) = (0, 0)
    return withUnsafeMutableBytes(of: &bytes) { Sockets.receiveDescriptors(socket.raw, into: $0) }
  }

  private static func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

  @Test func whatNobodyTakesIsClosed() throws {
    let (near, far) = try Self.sockets()
    let ends = try Self.sockets()
    let sent = withUnsafeBytes(of: 7 as UInt8) {
      Sockets.sendDescriptors([ends.near.raw, ends.far.raw], with: $0, over: near.raw)
    }
    #expect(sent == 1)
    var received: [PassedDescriptor] = Self.receive(far).descriptors
    try #require(received.count == 2)
    let numbers = received.map(\.raw)
    #expect(numbers.allSatisfy(Self.isOpen) && Set(numbers).isDisjoint(with: [ends.near.raw, ends.far.raw]))
    let taken = received[1].take()
    received = []
    #expect(!Self.isOpen(numbers[0]) && Self.isOpen(taken.raw))
  }

  @Test func silenceAndTheEndAreToldApart() throws {
    var (near, far): (PassedDescriptor?, PassedDescriptor) = try Self.sockets()
    let silence = Self.receive(far)
    #expect(silence.bytes < 0 && silence.systemError == EAGAIN && silence.descriptors.isEmpty)
    withExtendedLifetime(near) {}
    near = nil
    let end = Self.receive(far)
    #expect(end.bytes == 0 && end.systemError == 0 && end.descriptors.isEmpty)
  }

  @Test func onlySealedMemoryOfTheRightSizeDoes() throws {
    let sealed = OwnedDescriptor(tutti_memfd("tutti-test", 4096))
    var name = Array("/tmp/tutti-test-XXXXXX".utf8CString)
    let unsealed = OwnedDescriptor(mkstemp(&name))
    unlink(name)
    try #require(sealed.raw >= 0 && unsealed.raw >= 0 && ftruncate(unsealed.raw, 4096) == 0)
    func refusal(_ descriptor: Int32, bytes: UInt64) -> FailureReport? {
      do throws(FailureReport) {
        try SealedMemory.check(descriptor, bytes: bytes, what: "it", rank: 3, peer: 4, transport: "some")
        return nil
      } catch { return error }
    }
    #expect(refusal(sealed.raw, bytes: 4096) == nil)
    for refused in [
      refusal(unsealed.raw, bytes: 4096), refusal(sealed.raw, bytes: 4095), refusal(sealed.raw, bytes: .max),
    ] {
      #expect(refused?.code == .transport && refused?.systemError == 0)
      #expect(refused?.rank == 3 && refused?.peer == 4 && refused?.transport == "some")
      #expect(refused?.message.hasPrefix("it is not sealed, or not of ") == true)
    }
    #expect(refusal(-1, bytes: 4096)?.systemError == EBADF)
  }
}
