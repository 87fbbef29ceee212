import Testing
import TuttiEngine
import TuttiSchedule
import TuttiSystem

@testable import Tutti

/// The gate that every collective goes through. It has a short way for calls in which every rank gives and gets all the
/// data, and a long one for any.
@Suite struct GateTests {
  private struct Case {
    let count: Int
    /// Bytes from the input to the output.
    let distance: Int
    /// What the refusal says; nil where there is none.
    let words: String?
  }

  private static func cases(elementBytes size: Int) -> [Case] {
    let max = Communicator.countMax
    let distances = [0, 1, -1, 4 * size - 1, 1 - 4 * size, 4 * size, -4 * size]
    let refused = [
      (-1, "-1 is not a valid count"), (max + 1, "\(max + 1) is not a valid count"), (.min, "is not a valid count"),
      (.max, "is not a valid count"), (RawMemory.wrongLayout, "are not \(size) bytes long"),
    ]
    return refused.flatMap { count, words in distances.map { Case(count: count, distance: $0, words: words) } }
      + distances.map { Case(count: 0, distance: $0, words: nil) }
      + distances.map { Case(count: max, distance: $0, words: $0 == 0 ? nil : "overlap") }
      + distances.map { Case(count: 4, distance: $0, words: $0 == 0 || abs($0) == 4 * size ? nil : "overlap") }
  }

  private struct Outcome: Equatable {
    var key: PlanKey?
    var refusal: String?

    init(_ make: () throws(FailureReport) -> Request) {
      do throws(FailureReport) { key = try make().key } catch {
        refusal = "\(error.code): \(error.message). \(error.advice)"
      }
    }
  }

  /// What has several faults is refused for the same one, whichever way it goes.
  @Test(arguments: [Collective.allReduce, .barrier])
  func bothWaysRefuseAlike(collective: Collective) throws {
    let communicator = try makeCommunicators(2)[0]
    let input = UnsafeMutableRawPointer(bitPattern: 1 << 20)!
    for type in DataType.allCases {
      for operation in [ReduceOp.sum, .bitwiseAnd, .average] {
        for algorithm in ["auto", "no-such"] as [AlgorithmName] {
          for one in Self.cases(elementBytes: type.size) {
            let output = input + one.distance
            let short = Outcome { () throws(FailureReport) in
              try communicator.request(collective, input, output, one.count, type, operation, algorithm, nil)
            }
            let long = Outcome { () throws(FailureReport) in
              try communicator.requestOfParts(
                CollectiveCall(
                  collective: collective, input: RawMemory(input, count: one.count, type: type),
                  output: RawMemory(output, count: one.count, type: type), operation: operation, algorithm: algorithm))
            }
            let isUnknown = algorithm != .automatic
            let words =
              one.words ?? (isUnknown ? "no algorithm" : operation.isDefined(for: type) ? nil : "is not defined for")
            let call = "\(collective) \(operation) \(type) x \(one.count), \(one.distance) bytes apart"
            #expect(short.refusal == long.refusal, "\(call)")
            // Where there are no elements, it does not matter where the memory lies.
            if one.count != 0 { #expect(short.key == long.key, "\(call)") }
            #expect(words.map { short.refusal?.contains($0) == true } ?? (short.key != nil), "\(call): \(short)")
          }
        }
      }
    }
    communicator.close()
  }
}
