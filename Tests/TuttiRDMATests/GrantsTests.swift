#if RDMA
  import Testing
  import TuttiTransport

  @testable import TuttiRDMA

  /// What two ends tell each other of places for segments, over memory of this process: what a device would write, the tests
  /// copy, or do not.
  @Suite struct GrantsTests {
    /// The grants of one end, and the memory of its link.
    private final class End {
      static let layout = RDMALayout(segmentBytesMax: 64)
      let memory: UnsafeMutableRawPointer
      let grants: RDMAGrants

      init() {
        memory = .allocate(byteCount: Self.layout.totalBytes, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.layout.totalBytes)
        grants = RDMAGrants(Self.layout, memory)
      }

      deinit {
        grants.deallocate()
        memory.deallocate()
      }

      /// Takes what the other end sends, or the first bytes of it.
      func take(_ line: RDMAGrants.Line, bytes: Int? = nil) {
        (memory + line.offset).copyMemory(from: line.source, byteCount: bytes ?? line.bytes)
      }
    }

    private let sender = End()
    private let receiver = End()

    @Test func aPlaceIsForOneSegmentOfItsSize() throws {
      #expect(sender.grants.peerPlace(1, 1, 4096) == nil && !sender.grants.isAnswered(1, 1))
      sender.take(receiver.grants.grant(1, 1, 0xABC0, 4096, key: 7))
      let place = try #require(sender.grants.peerPlace(1, 1, 4096))
      #expect(place.address == 0xABC0 && place.key == 7)
      #expect(sender.grants.peerPlace(1, 1, 4095) == nil && sender.grants.isAnswered(1, 1), "another size is an answer")
      #expect(sender.grants.peerPlace(0, 1, 4096) == nil, "another lane")
      // The next segment of the same slot.
      let next = 1 + UInt64(Lane.credit)
      #expect(sender.grants.peerPlace(1, next, 4096) == nil && !sender.grants.isAnswered(1, next))
      #expect(receiver.grants.isGranted(1, 1, 4096))
      #expect(!receiver.grants.isGranted(1, 1, 4095) && !receiver.grants.isGranted(1, next, 4096))
    }

    @Test func eachSegmentIsGrantedOnce() {
      #expect(receiver.grants.mayGrant(0, 1))
      _ = receiver.grants.grant(0, 2, 64, 64, key: 1)
      #expect(!receiver.grants.mayGrant(0, 1) && !receiver.grants.mayGrant(0, 2) && receiver.grants.mayGrant(0, 3))
      #expect(receiver.grants.mayGrant(1, 1), "lanes have nothing to do with each other")
    }

    /// A device may have written any part of an entry, and an older one lies there.
    @Test func aTornEntryDoesNotCount() {
      let next = 1 + UInt64(Lane.credit)
      sender.take(receiver.grants.grant(0, 1, 64, 64, key: 1))
      let line = receiver.grants.grant(0, next, 128, 64, key: 1)
      for bytes in [8, 24, 32] {
        sender.take(line, bytes: bytes)
        #expect(sender.grants.peerPlace(0, next, 64) == nil && !sender.grants.isAnswered(0, next), "\(bytes) bytes")
        #expect(sender.grants.peerPlace(0, 1, 64) == nil, "\(bytes) bytes")
      }
      sender.take(line)
      #expect(sender.grants.peerPlace(0, next, 64)?.address == 128)
    }

    @Test func aQuestionIsAskedOnce() {
      #expect(sender.grants.ask(2, 3) && sender.grants.question(2) == 3)
      #expect(!sender.grants.ask(2, 3) && !sender.grants.ask(2, 2))
      #expect(sender.grants.ask(2, 4) && sender.grants.question(2) == 4 && sender.grants.question(0) == 0)
    }

    @Test func whatIsDeclinedIsAnswered() {
      #expect(!receiver.grants.takeQuestion(0, 2) && receiver.grants.peerAsked(0, about: 2))
      #expect(!receiver.grants.decline(0, through: 1), "it asked about the next one")
      #expect(receiver.grants.decline(0, through: 2))
      #expect(receiver.grants.decline(0, through: 1), "what is declined stays so")
      sender.take(receiver.grants.answer(0))
      #expect(sender.grants.isAnswered(0, 2) && !sender.grants.isAnswered(0, 3) && !sender.grants.isAnswered(1, 1))
      #expect(sender.grants.peerPlace(0, 2, 64) == nil)
    }

    /// The answer was on its way when the question came.
    @Test func aQuestionMayCrossItsAnswer() {
      _ = receiver.grants.grant(0, 1, 64, 64, key: 1)
      #expect(receiver.grants.takeQuestion(0, 1))
      #expect(!receiver.grants.takeQuestion(0, 2) && !receiver.grants.peerAsked(0, about: 1))
      _ = receiver.grants.decline(0, through: 3)
      #expect(receiver.grants.takeQuestion(0, 3) && !receiver.grants.takeQuestion(0, 4))
    }
  }
#endif
